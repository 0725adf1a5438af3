-- For a DBA: lets the owner of apex-rtm reach the relay over HTTP. Only for the HTTP path.
--   sqlplus -L sys@db as sysdba @sql/grants/acl.sql RTM rtm.example.com 443
set verify off
define owner = '&1'
define host = '&2'
define port = '&3'
whenever sqlerror exit failure rollback
begin
  dbms_network_acl_admin.append_host_ace(
    host       => '&host',
    lower_port => &port,
    upper_port => &port,
    ace        => xs$ace_type(
      privilege_list => xs$name_list('http'),
      principal_name => upper('&owner'),
      principal_type => xs_acl.ptype_db
    )
  );
end;
/
exit success
