import oracledb, { type Connection } from "oracledb";
import type { ContractTarget } from "./contract-target.ts";
import type { OracleAccess } from "./target.ts";

/** A real database as a target of the contract. Queues are made in the schema of the test user. */
export async function oracleTarget(access: OracleAccess): Promise<ContractTarget> {
  const match = /^(?:tcp:)?(?:\/\/)?([^:/]+):(\d+)\/([^:?/]+)$/.exec(access.connectString);
  if (!match) throw new Error("RTM_TEST_ORACLE_CONNECT_STRING must be host:port/service");
  const [, host, port, serviceName] = match as unknown as [string, string, string, string];
  const admin = await oracledb.getConnection(access);
  const user = access.user.toUpperCase();
  const tables: string[] = [];
  const mayKill = await admin
    .execute<[number]>("select count(*) from session_privs where privilege = 'ALTER SYSTEM'")
    .then(async ({ rows }) => {
      await admin.execute("select 1 from v$session where rownum = 1");
      return rows![0]![0] > 0;
    })
    .catch(() => false);
  return {
    host,
    port: Number(port),
    serviceName,
    user,
    password: access.password,
    hasJsonQueues: admin.oracleServerVersion >= 2_100_000_000,
    async createQueue({ json = false, maxRetries = 5, subscribers = [] } = {}) {
      const unique = `${Date.now().toString(36)}_${tables.length}`.toUpperCase();
      const [table, name] = [`RTM_T_${unique}`, `RTM_Q_${unique}`];
      tables.push(table);
      await admin.execute(
        `begin
           dbms_aqadm.create_queue_table(
             queue_table => :table_name, queue_payload_type => :kind,
             multiple_consumers => ${subscribers.length > 0});
           dbms_aqadm.create_queue(
             queue_name => :name, queue_table => :table_name, max_retries => :max_retries);
           dbms_aqadm.start_queue(queue_name => :name);
           dbms_aqadm.start_queue(
             queue_name => 'AQ$_' || :table_name || '_E', enqueue => false, dequeue => true);
         end;`,
        { table_name: table, kind: json ? "JSON" : "RAW", name, max_retries: maxRetries },
      );
      for (const subscriber of subscribers) {
        await admin.execute(
          `begin
             dbms_aqadm.add_subscriber(
               queue_name => :name, subscriber => sys.aq$_agent(:subscriber, null, null));
           end;`,
          { name, subscriber },
        );
      }
      return {
        name: `${user}.${name}`,
        exceptionQueue: `${user}.AQ$_${table}_E`,
        async depth() {
          const { rows } = await admin.execute<[number]>(
            `select count(*) from ${table} where q_name = :name`,
            { name },
          );
          return rows![0]![0];
        },
        async enqueueUndecodable(text) {
          await admin.execute(
            `declare
               l_options dbms_aq.enqueue_options_t;
               l_properties dbms_aq.message_properties_t;
               l_id raw(16);
             begin
               l_properties.user_property := sys.anydata.convertvarchar2('x');
               dbms_aq.enqueue(
                 queue_name => :name, enqueue_options => l_options,
                 message_properties => l_properties,
                 payload => ${json ? "json('{}')" : "utl_raw.cast_to_raw(:text)"}, msgid => l_id);
               commit;
             end;`,
            json ? { name } : { name, text },
          );
        },
        stop: () => run(admin, "begin dbms_aqadm.stop_queue(queue_name => :name); end;", { name }),
      };
    },
    ...(mayKill && {
      async prepareKill(connection: Connection) {
        const { rows } = await connection.execute<[string]>(
          `select sid || ',' || serial# from v$session where sid = sys_context('userenv', 'sid')`,
        );
        const session = rows![0]![0];
        return () => run(admin, `alter system kill session '${session}' immediate`);
      },
    }),
    async close() {
      for (const table of tables) {
        await run(
          admin,
          "begin dbms_aqadm.drop_queue_table(queue_table => :table_name, force => true); end;",
          { table_name: table },
        );
      }
      await admin.close();
    },
  };
}

async function run(
  connection: Connection,
  sql: string,
  binds: oracledb.BindParameters = {},
): Promise<void> {
  await connection.execute(sql, binds);
}
