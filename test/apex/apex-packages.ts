/**
 * Oracle APEX's PL/SQL API as far as the plug-ins use it, as package specifications. Sources: API
 * Reference 22.1 to 24.2 (APEX_PLUGIN, APEX_PLUGIN_UTIL, APEX_DEBUG, APEX_EXEC, APEX_STRING,
 * APEX_UTIL). Records hold the fields of 22.1, so that what later releases added is noticed.
 */
const MESSAGE =
  "p_message in varchar2, p0 in varchar2 default null, p1 in varchar2 default null, p2 in varchar2 default null, p3 in varchar2 default null, p4 in varchar2 default null";
const attributes = (count: number) =>
  Array.from(
    { length: count },
    (_, index) => `attribute_${String(index + 1).padStart(2, "0")} varchar2(32767)`,
  ).join(", ");
const ATTRIBUTES = attributes(15);
const REGION_ATTRIBUTES = attributes(25);
const COLUMN = "p_context in t_context, p_column_idx in pls_integer";

export const APEX_PACKAGES: Readonly<Record<string, string>> = {
  apex_application: `
    g_x01 constant varchar2(32767) := null;
    g_user constant varchar2(255) := null;
    g_instance constant number := null;
    function g_f01(p_index in pls_integer default null) return t_table;
    function g_f02(p_index in pls_integer default null) return t_table;`,
  apex_collection: `
    function collection_exists(p_collection_name in varchar2) return boolean;
    procedure create_collection(p_collection_name in varchar2);
    function add_member(p_collection_name in varchar2, p_c001 in varchar2 default null,
      p_c002 in varchar2 default null, p_c003 in varchar2 default null,
      p_c004 in varchar2 default null, p_c005 in varchar2 default null) return number;
    procedure update_member(p_collection_name in varchar2, p_seq in varchar2,
      p_c001 in varchar2 default null, p_c002 in varchar2 default null,
      p_c003 in varchar2 default null, p_c004 in varchar2 default null,
      p_c005 in varchar2 default null);`,
  apex_debug: `
    procedure error(${MESSAGE});
    procedure warn(${MESSAGE});
    procedure info(${MESSAGE});`,
  apex_exec: `
    type t_context is record (internal number);
    type t_column is record (name varchar2(255), data_type number);
    c_data_type_varchar2 constant number := 1;
    c_data_type_number constant number := 2;
    c_data_type_date constant number := 3;
    c_data_type_timestamp constant number := 4;
    c_data_type_timestamp_tz constant number := 5;
    c_data_type_timestamp_ltz constant number := 6;
    c_data_type_clob constant number := 10;
    c_location_local_db constant varchar2(5) := 'LOCAL';
    function open_query_context(p_location in varchar2, p_sql_query in varchar2 default null, p_max_rows in number default null) return t_context;
    function next_row(p_context in t_context) return boolean;
    function get_column_count(p_context in t_context) return pls_integer;
    function get_column(${COLUMN}) return t_column;
    function get_varchar2(${COLUMN}) return varchar2;
    function get_number(${COLUMN}) return number;
    function get_date(${COLUMN}) return date;
    function get_timestamp(${COLUMN}) return timestamp;
    function get_timestamp_tz(${COLUMN}) return timestamp with time zone;
    function get_timestamp_ltz(${COLUMN}) return timestamp with local time zone;
    function get_clob(${COLUMN}) return clob;
    procedure close(p_context in t_context);`,
  apex_javascript: `
    procedure add_onload_code(p_code in varchar2, p_key in varchar2 default null);
    function add_value(p_value in varchar2, p_add_comma in boolean default true) return varchar2;`,
  apex_lang: `
    function message(p_name in varchar2 default null, p0 in varchar2 default null) return varchar2;`,
  apex_plugin: `
    type t_plugin is record (name varchar2(45), file_prefix varchar2(4000), ${ATTRIBUTES});
    type t_dynamic_action is record (id number, action varchar2(50), ${ATTRIBUTES});
    type t_dynamic_action_render_result is record (javascript_function varchar2(32767), ajax_identifier varchar2(255), ${ATTRIBUTES});
    type t_dynamic_action_ajax_result is record (dummy boolean);
    type t_region is record (id number, static_id varchar2(255), name varchar2(255), ajax_items_to_submit varchar2(32767), ${REGION_ATTRIBUTES});
    type t_region_render_result is record (navigable_dom_id varchar2(255));
    type t_region_ajax_result is record (dummy boolean);
    type t_process is record (id number, name varchar2(255), success_message varchar2(32767), ${ATTRIBUTES});
    type t_process_exec_result is record (success_message varchar2(32767), execution_skipped boolean);
    function get_ajax_identifier return varchar2;`,
  apex_plugin_util: `
    function replace_substitutions(p_value in varchar2, p_escape in boolean default true) return varchar2;
    function page_item_names_to_jquery(p_page_item_names in varchar2) return varchar2;
    function get_plsql_expression_result(p_plsql_expression in varchar2) return varchar2;
    procedure print_json_http_header;`,
  // Younger than 22.1: called by name only.
  apex_session_state: `
    function get_clob(p_item in varchar2) return clob;`,
  apex_string: `
    function split(p_str in varchar2, p_sep in varchar2 default null, p_limit in pls_integer default null) return apex_t_varchar2;`,
  apex_util: `
    function get_session_state(p_item in varchar2) return varchar2;`,
  // Methods of Oracle's object types and packages that the database scripts do not use.
  dbms_assert: `
    function qualified_sql_name(str in varchar2) return varchar2;`,
  json_array_t: `
    procedure append(val in varchar2);
    function parse(jsn in clob) return json_array_t;
    function get(pos in number) return json_element_t;
    function get_size return number;
    function get_string(pos in number) return varchar2;
    function to_string return varchar2;
    function to_clob return clob;`,
  json_object_t: `
    procedure put(key in varchar2, val in varchar2);
    procedure put_null(key in varchar2);
    function parse(jsn in clob) return json_object_t;
    function has(key in varchar2) return boolean;
    function get_keys return json_key_list;
    function get_string(key in varchar2) return varchar2;
    function get_number(key in varchar2) return number;
    function get(key in varchar2) return json_element_t;
    function get_object(key in varchar2) return json_object_t;
    procedure remove(key in varchar2);
    function to_string return varchar2;
    function to_clob return clob;`,
};
