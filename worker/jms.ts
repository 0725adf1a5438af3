/**
 * A PL/SQL dequeue without RTM_WORKER_API, for queues of other schemas. The Thin driver cannot read
 * SYS.AQ$_JMS_TEXT_MESSAGE (it has a CLOB attribute), and it cannot decode a message with user
 * properties; PL/SQL can do both. The worker's user needs EXECUTE on DBMS_AQ for it.
 */
import type { PayloadKind } from "./config.ts";
import type { Dequeued } from "./decode.ts";
import { type TextRequest, type TextResult, textBinds, textResult } from "./rtm-worker-api.ts";
import type { Session } from "./session.ts";

interface Variant {
  readonly type: string;
  /** Statements that set l_text (CLOB) from l_payload. */
  readonly read: string;
}

const VARIANTS: Readonly<Record<PayloadKind, Variant>> = {
  JMS_TEXT: { type: "sys.aq$_jms_text_message", read: "l_payload.get_text(l_text);" },
  RAW: {
    type: "raw(32767)",
    read: "l_text := utl_i18n.raw_to_char(l_payload, 'AL32UTF8');",
  },
  JSON: { type: "json", read: "l_text := json_serialize(l_payload returning clob);" },
};

/** The block for one kind of payload. Binds are those of RTM_WORKER_API.DEQUEUE_TEXT. */
export function dequeueBlock(kind: PayloadKind): string {
  const { type, read } = VARIANTS[kind];
  return `declare
  l_options    dbms_aq.dequeue_options_t;
  l_properties dbms_aq.message_properties_t;
  l_payload    ${type};
  l_id         raw(16);
  l_text       clob;
  l_offset     pls_integer := 1;
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
  while l_offset <= nvl(dbms_lob.getlength(l_text), 0) and l_pieces.count < 32 loop
    l_pieces(l_pieces.count + 1) := dbms_lob.substr(l_text, 8000, l_offset);
    l_offset := l_offset + 8000;
  end loop;
  if l_offset <= nvl(dbms_lob.getlength(l_text), 0) then
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
  return textResult(result.outBinds as TextResult);
}
