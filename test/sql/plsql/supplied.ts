/**
 * Oracle-supplied packages and views as far as our scripts use them, each with its source. A
 * parameter with a trailing `?` has a default. "not verified" marks what was written from general
 * knowledge and has not been seen in documentation or on a database.
 */

export interface PackageFacts {
  readonly source: string;
  /** Name to overloads. */
  readonly subprograms?: Readonly<Record<string, readonly string[]>>;
  /** Constants, exceptions, and types without fields that we name. */
  readonly names?: string;
  /** Record types to fields. */
  readonly records?: Readonly<Record<string, string>>;
}

const ARPLS = "Database PL/SQL Packages and Types Reference";

export const SUPPLIED: Readonly<Record<string, PackageFacts>> = {
  dbms_aq: {
    source: `${ARPLS} 12.1-23, DBMS_AQ; AQ User's Guide 19c, Operations Using PL/SQL`,
    subprograms: {
      enqueue: ["queue_name enqueue_options message_properties payload msgid"],
      dequeue: ["queue_name dequeue_options message_properties payload msgid"],
    },
    names:
      "on_commit immediate remove browse locked remove_nodata first_message next_message no_wait forever never",
    records: {
      enqueue_options_t:
        "visibility relative_msgid sequence_deviation transformation delivery_mode",
      dequeue_options_t:
        "consumer_name dequeue_mode navigation visibility wait msgid correlation deq_condition signature transformation delivery_mode",
      message_properties_t:
        "priority delay expiration correlation attempts recipient_list exception_queue enqueue_time state sender_id original_msgid signature transaction_group user_property delivery_mode",
    },
  },
  dbms_aqadm: {
    source: `${ARPLS} 12c-23, DBMS_AQADM; AQ User's Guide 18c, Administrative Interface`,
    subprograms: {
      create_queue_table: [
        "queue_table queue_payload_type storage_clause? sort_list? multiple_consumers? message_grouping? comment? auto_commit? primary_instance? secondary_instance? compatible? secure? replication_mode?",
      ],
      create_queue: [
        "queue_name queue_table queue_type? max_retries? retry_delay? retention_time? dependency_tracking? comment? auto_commit?",
      ],
      start_queue: ["queue_name enqueue? dequeue?"],
      stop_queue: ["queue_name enqueue? dequeue? wait?"],
      drop_queue: ["queue_name auto_commit?"],
      drop_queue_table: ["queue_table force? auto_commit?"],
      grant_queue_privilege: ["privilege queue_name grantee grant_option?"],
    },
  },
  dbms_lock: {
    source: `${ARPLS} 19c, DBMS_LOCK (not verified)`,
    subprograms: {
      request: [
        "id lockmode? timeout? release_on_commit?",
        "lockhandle lockmode? timeout? release_on_commit?",
      ],
      release: ["id", "lockhandle"],
    },
    names: "s_mode x_mode",
  },
  dbms_crypto: {
    source: `${ARPLS} 19c, DBMS_CRYPTO (not verified)`,
    subprograms: { mac: ["src typ key"] },
    names: "hmac_sh256",
  },
  dbms_lob: {
    source: `${ARPLS} 19c, DBMS_LOB (not verified)`,
    subprograms: {
      createtemporary: ["lob_loc cache dur?"],
      freetemporary: ["lob_loc"],
      istemporary: ["lob_loc"],
      getlength: ["lob_loc"],
      substr: ["lob_loc amount? offset?"],
      converttoblob: [
        "dest_lob src_clob amount dest_offset src_offset blob_csid lang_context warning",
      ],
      converttoclob: [
        "dest_lob src_blob amount dest_offset src_offset blob_csid lang_context warning",
      ],
    },
    names: "call session default_lang_ctx lobmaxsize",
  },
  utl_raw: {
    source: `${ARPLS} 19c, UTL_RAW (not verified)`,
    subprograms: {
      length: ["r"],
      concat: ["r1? r2? r3? r4? r5? r6? r7? r8? r9? r10? r11? r12?"],
      substr: ["r pos len?"],
      cast_to_varchar2: ["r"],
      cast_to_raw: ["c"],
      bit_xor: ["r1 r2"],
      copies: ["r n"],
    },
  },
  utl_i18n: {
    source: `${ARPLS} 19c, UTL_I18N (not verified)`,
    subprograms: { string_to_raw: ["data dst_charset?"], raw_to_char: ["data src_charset?"] },
  },
  utl_encode: {
    source: `${ARPLS} 19c, UTL_ENCODE (not verified)`,
    subprograms: { base64_encode: ["r"], base64_decode: ["r"] },
  },
  utl_http: {
    source: `${ARPLS} 19c, UTL_HTTP (not verified)`,
    subprograms: {
      create_request_context: [
        "wallet_path? wallet_password? enable_cookies? max_cookies? max_cookies_per_site?",
      ],
      destroy_request_context: ["request_context"],
      begin_request: ["url method? http_version? request_context? https_host?"],
      set_header: ["r name value?"],
      write_raw: ["r data"],
      get_response: ["r return_info_response?"],
      read_text: ["r data len?"],
      end_request: ["r"],
      end_response: ["r"],
      get_transfer_timeout: ["timeout"],
      set_transfer_timeout: ["timeout?", "r timeout?"],
      get_response_error_check: ["enable"],
      set_response_error_check: ["enable?"],
    },
    names: "end_of_body request_context_key",
    records: {
      req: "url method http_version private_hndl",
      resp: "status_code reason_phrase http_version private_hndl",
    },
  },
  dbms_scheduler: {
    source: `${ARPLS} 19c, DBMS_SCHEDULER (not verified)`,
    subprograms: {
      create_job: [
        "job_name job_type job_action number_of_arguments? start_date? repeat_interval? end_date? job_class? enabled? auto_drop? comments? credential_name? destination_name?",
      ],
      drop_job: ["job_name force? defer? commit_semantics?"],
      enable: ["name commit_semantics?"],
      disable: ["name force? commit_semantics?"],
      set_attribute: ["name attribute value value2?"],
    },
    names: "logging_off logging_runs logging_failed_runs logging_full",
  },
  dbms_assert: {
    source: `${ARPLS} 19c, DBMS_ASSERT (not verified)`,
    subprograms: { enquote_name: ["str capitalize?"] },
  },
  utl_call_stack: {
    source: `${ARPLS} 19c, UTL_CALL_STACK`,
    subprograms: { dynamic_depth: [""] },
  },
  dbms_transaction: {
    source: `${ARPLS} 19c, DBMS_TRANSACTION (not verified)`,
    subprograms: { local_transaction_id: ["create_transaction?"] },
  },
  dbms_utility: {
    source: `${ARPLS} 19c, DBMS_UTILITY (not verified)`,
    subprograms: {
      get_hash_value: ["name base hash_size"],
      format_error_backtrace: [""],
      format_error_stack: [""],
    },
  },
  dbms_output: {
    source: `${ARPLS} 19c, DBMS_OUTPUT (not verified)`,
    subprograms: { put_line: ["a"], put: ["a"], new_line: [""] },
  },
  dbms_sql: { source: `${ARPLS} 19c, DBMS_SQL (not verified)`, names: "varchar2a" },
  dbms_network_acl_admin: {
    source: "Database Security Guide 19c, network ACLs",
    subprograms: { append_host_ace: ["host lower_port? upper_port? ace"] },
  },
  dbms_session: {
    source: `${ARPLS} 18c and later, DBMS_SESSION (not verified)`,
    subprograms: { sleep: ["seconds"] },
  },
  dbms_db_version: { source: `${ARPLS} 19c, DBMS_DB_VERSION`, names: "version release" },
  apex_jwt: {
    source: "APEX 24.2 API Reference, APEX_JWT; wwv_flow_jwt.sql of 24.2",
    subprograms: {
      encode: [
        "p_iss? p_sub? p_aud? p_nbf_ts? p_iat_ts? p_exp_sec? p_jti? p_other_claims? p_signature_key?",
      ],
    },
    names: "t_token",
  },
  xs_acl: { source: "Database Security Guide 19c, network ACLs", names: "ptype_db" },
  // Object types whose methods we call, by the names of our variables' types.
  json_object_t: {
    source: `${ARPLS} 19c, JSON_OBJECT_T`,
    subprograms: {
      put: ["key val"],
      put_null: ["key"],
      parse: ["jsn"],
      get: ["key"],
      get_string: ["key"],
      get_number: ["key"],
      remove: ["key"],
      to_string: [""],
      to_clob: [""],
    },
  },
  json_element_t: {
    source: `${ARPLS} 19c, JSON_ELEMENT_T: the supertype of JSON_OBJECT_T and JSON_ARRAY_T`,
    subprograms: { to_string: [""], to_clob: [""] },
  },
  json_array_t: {
    source: `${ARPLS} 19c, JSON_ARRAY_T`,
    subprograms: { append: ["val"], parse: ["jsn"], get_size: [""], get_string: ["pos"] },
  },
  aq$_jms_text_message: {
    source: "AQ types 9.2-23: SYS.AQ$_JMS_TEXT_MESSAGE",
    subprograms: { construct: [""] },
    // Attributes and methods.
    records: { "": "header text_len text_vc text_lob set_text get_text" },
  },
};

/**
 * Errors of the database that our scripts handle by number: what each means. One that is not here has
 * been mistaken before: ORA-24018 is "STOP_QUEUE failed", no missing privilege.
 */
export const ORA_ERRORS: Readonly<Record<number, string>> = {
  54: "resource busy, NOWAIT",
  164: "autonomous transaction inside of a distributed transaction that can migrate (XA)",
  942: "table or view does not exist, or is not granted",
  1031: "insufficient privileges",
  1435: "user does not exist",
  1456: "no DML inside of a read-only transaction",
  4063: "a view or package has errors: a call meets an invalid body",
  4067: "not executed: a package body does not exist",
  4068: "existing state of packages has been discarded: the next call finds the new ones",
  4080: "trigger does not exist",
  4095: "a trigger of that name stands on another table",
  4106: "an MLE module was replaced under a session that had used it",
  6508: "a program unit that is called cannot be found",
  6550: "an anonymous block does not compile: PLS-00201, PLS-00905",
  6575: "package or function is in an invalid state",
  14450:
    "a temporary table of the transaction is in use: by an autonomous transaction inside of one",
  14551: "no DML inside of a query",
  24001: "queue table exists",
  24006: "queue exists",
  24010: "queue does not exist, or no privilege on it",
  20000: "DBMS_OUTPUT: its buffer is full (ORU-10027)",
  24344: "success with a compilation error",
  25228: "nothing to dequeue within the wait",
  25263: "no message with that id",
};

/** Columns of dictionary views, and of the views that AQ makes for our queue table. */
export const VIEWS: Readonly<Record<string, string>> = {
  dual: "dummy",
  user_tables: "table_name",
  user_tab_columns: "table_name column_name data_type data_length",
  user_indexes: "index_name",
  user_objects: "object_name object_type status",
  user_source: "name type line text",
  user_triggers: "trigger_name table_name status",
  // Database Reference 19c; only the object owner's own grants.
  user_tab_privs_made:
    "grantee table_name grantor privilege grantable hierarchy common type inherited",
  user_scheduler_jobs: "job_name job_action enabled",
  session_privs: "privilege",
  product_component_version: "product version version_full status",
  all_queues: "owner name queue_table",
  user_queues: "name queue_table enqueue_enabled dequeue_enabled",
  // Of 12.2 and later: GUID, and CON_ID 0 in a database without containers.
  v$containers: "con_id dbid name guid",
  // Our own, before the first release; sql/install/upgrade.sql moves its rows.
  rtm_outbox: "log_id base_url api_key created_ts attempts next_try_ts",
  all_tables: "owner table_name",
  // Database Reference 19c: USER_GENERATED since 12.2.
  all_tab_cols:
    "owner table_name column_name data_type data_type_owner column_id internal_column_id hidden_column virtual_column user_generated",
  all_triggers: "owner trigger_name table_owner table_name status",
  all_source: "owner name type line text",
  all_errors: "owner name type sequence line position text attribute",
  all_dependencies: "owner name type referenced_owner referenced_name referenced_type",
  // Our view, which is made by a statement of its own.
  rtm_status:
    "transport transport_reason queue_name backlog oldest_age_s exception_depth outbox_depth relays listeners last_error",
  rtm_presence: "channel user_name connections member_info since_ts",
  // The queue table itself (not documented; as DBMS_AQADM makes it, not verified).
  rtm_qt:
    "q_name msgid corrid priority state delay expiration enq_time step_no retry_count user_data",
  // AQ User's Guide 19c, AQ$<queue table>: single consumer.
  aq$rtm_qt:
    "queue msg_id corr_id msg_priority msg_state delay expiration enq_time enq_user_id enq_txn_id deq_time deq_user_id deq_txn_id retry_count exception_queue_owner exception_queue user_data",
};
