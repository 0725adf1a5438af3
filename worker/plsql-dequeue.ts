/**
 * A PL/SQL dequeue without RTM_WORKER_API, for queues of other schemas. The Thin driver cannot read
 * SYS.AQ$_JMS_TEXT_MESSAGE (it has a CLOB attribute), and it cannot decode a message with user
 * properties; PL/SQL can do both. The worker's user needs EXECUTE on DBMS_AQ for it.
 */
import type { PayloadKind } from "./config.ts";
import type { Dequeued } from "./decode.ts";
import type { Session } from "./session.ts";
import { type TextRequest, type TextResult, textBinds, textResult } from "./text-dequeue.ts";

interface Variant {
  readonly type: string;
  /** Statements that set l_bytes (BLOB) to the UTF-8 text of l_payload. */
  readonly read: string;
}

/**
 * Sets l_bytes from l_text (CLOB). Pieces cut from a CLOB could split a character: its offsets count
 * UTF-16 units. Bytes can be cut anywhere.
 */
const CONVERT = `dbms_lob.createtemporary(l_bytes, true, dbms_lob.call);
  if dbms_lob.getlength(l_text) > 0 then
    dbms_lob.converttoblob(
      l_bytes, l_text, dbms_lob.lobmaxsize, l_to, l_from, nls_charset_id('AL32UTF8'), l_language, l_warning
    );
  end if;`;

const VARIANTS: Readonly<Record<PayloadKind, Variant>> = {
  JMS_TEXT: {
    type: "sys.aq$_jms_text_message",
    // A null payload is a message too: a call of its method would raise ORA-30625 each time it comes.
    read: `if l_payload is not null then\n    l_payload.get_text(l_text);\n  end if;\n  ${CONVERT}`,
  },
  RAW: { type: "raw(32767)", read: "l_bytes := to_blob(l_payload);" },
  JSON: {
    type: "json",
    read: `select json_serialize(l_payload returning clob) into l_text from dual;\n  ${CONVERT}`,
  },
};

/**
 * The block for one kind of payload. Binds are those of RTM_WORKER_API.DEQUEUE_TEXT, but the pieces
 * are 8,000 bytes of UTF-8 each, in hex.
 */
export function dequeueBlock(kind: PayloadKind): string {
  const { type, read } = VARIANTS[kind];
  return `declare
  l_options    dbms_aq.dequeue_options_t;
  l_properties dbms_aq.message_properties_t;
  l_payload    ${type};
  l_id         raw(16);
  l_text       clob;
  l_bytes      blob;
  l_to         integer := 1;
  l_from       integer := 1;
  l_language   integer := dbms_lob.default_lang_ctx;
  l_warning    integer;
  l_offset     integer := 1;
  l_pieces     dbms_sql.varchar2a;
  l_kind       varchar2(30) := :kind;
  e_no_message exception;
  pragma exception_init(e_no_message, -25228);
begin
  l_options.consumer_name := :consumer;
  l_options.wait          := :wait;
  l_options.navigation    := :navigation;
  l_options.dequeue_mode  := dbms_aq.remove;
  l_options.visibility    := dbms_aq.on_commit;
  :id        := null;
  :attempts  := 0;
  :enqueued  := null;
  :truncated := 0;
  begin
    dbms_aq.dequeue(:queue, l_options, l_properties, l_payload, l_id);
  exception
    when e_no_message then
      :pieces := l_pieces;
      return;
  end;
  ${read}
  while l_offset <= nvl(dbms_lob.getlength(l_bytes), 0) and l_pieces.count < 32 loop
    l_pieces(l_pieces.count + 1) := rawtohex(dbms_lob.substr(l_bytes, 8000, l_offset));
    l_offset := l_offset + 8000;
  end loop;
  if l_offset <= nvl(dbms_lob.getlength(l_bytes), 0) then
    :truncated := 1;
  end if;
  :id       := lower(rawtohex(l_id));
  :attempts := l_properties.attempts;
  :pieces   := l_pieces;
end;`;
}

/** One dequeue in PL/SQL; `undefined` when nothing came within the wait. */
export async function dequeueTextByBlock(
  session: Session,
  request: TextRequest,
): Promise<Dequeued | undefined> {
  const result = await session.executeWaiting(
    `dequeue from ${request.queueName} in PL/SQL`,
    dequeueBlock(request.kind),
    textBinds(request),
    request.waitMs,
  );
  const found = result.outBinds as TextResult;
  const text = Buffer.from(found.pieces.join(""), "hex").toString("utf8");
  return textResult({ ...found, pieces: [text] });
}
