create or replace package rtm_config_api authid definer as
  -- Settings of the installation. For the owning schema only: it reads and writes secrets, and is
  -- granted to nobody. Every procedure commits, in a transaction of its own.

  -- Sets one setting; the names, ranges and defaults are in docs/sql-api.md. A null value sets the
  -- default. Raises -20102 and names the setting that is unknown or out of range.
  procedure set_value(p_name in varchar2, p_value in varchar2);
  -- The value of one setting; a secret is shown as (set) or null.
  function get_value(p_name in varchar2) return varchar2;
  -- All settings at once. For our packages: it holds secrets.
  function settings return rtm_config%rowtype;

  -- Adds or replaces a signing secret of tokens: 32 to 512 bytes of text, the same text as in the
  -- relay's relay.tokens.secrets under the same kid. p_current: new tokens are signed with it.
  procedure set_token_secret(p_kid in varchar2, p_secret in varchar2, p_current in boolean default true);
  procedure drop_token_secret(p_kid in varchar2);
  -- For our packages: the key of what tokens say of an APEX session. Made at its first use, and kept when
  -- secrets change: a revocation must find the tokens of before.
  function session_key return raw;

  -- Allows HTTP and tokens in this database, or in a named one (a standby, before a switchover).
  procedure confirm_database(p_db_unique_name in varchar2 default null, p_con_name in varchar2 default null);
  -- Forgets all confirmed databases but this one.
  procedure forget_other_databases;
  -- For the installation: completes the row of this database, if its names are confirmed, with what
  -- older versions did not keep. The caller commits.
  procedure learn_database;
  -- What this database is, by unique name, PDB name, GUID of the PDB (with SELECT on V_$CONTAINERS) and
  -- host:
  --   CONFIRMED  known
  --   NEW_HOST   known, on another host: a second node, or a copy of the storage. Goes on; confirm it.
  --   NEW_NAME   the same PDB under another name: relocated, a standby, or a duplicate. The first token
  --              or HTTP call asks for a confirmation, in RTM_LOG, and it becomes ASKED
  --   ASKED      goes on for 24 hours, then it counts as a clone
  --   CLONE      another PDB (or unknown names without a GUID): HTTP and tokens are off
  function database_state return varchar2;
  -- True only for CONFIRMED.
  function is_confirmed_database return boolean;
  -- Raises -20111 in a clone that nobody has confirmed.
  procedure check_database;
end rtm_config_api;
/
