-- Who is in which channel, as the relay tells the worker that leads the queue (RTM_WORKER_API.PRESENCE).
-- A worker is a source; what a dead one has said last is passed over by the view, so that it vanishes
-- without anybody's doing. RTM_PRESENT: of whom RTM_EVENTS has said that they came and not yet that they
-- left.
declare
  function there(p_type in varchar2, p_name in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*) into l_count from user_objects where object_type = p_type and object_name = p_name;
    return l_count > 0;
  end there;

  procedure create_missing(p_type in varchar2, p_name in varchar2, p_ddl in varchar2) is
  begin
    if not there(p_type, p_name) then
      execute immediate p_ddl;
    end if;
  end create_missing;
begin
  -- pass: number of its last list of everybody; members that are not in it are gone when it is complete.
  create_missing('TABLE', 'RTM_MEMBER_SOURCE', q'[
    create table rtm_member_source (
      source   varchar2(128 byte) not null constraint rtm_member_source_pk primary key,
      seen_utc timestamp(6) not null,
      pass     number default 0 not null
    )]');
  create_missing('TABLE', 'RTM_MEMBER', q'[
    create table rtm_member (
      source      varchar2(128 byte) not null,
      channel     varchar2(512 byte) not null,
      user_name   varchar2(1024 byte) not null,
      connections number not null,
      member_info varchar2(2000 byte),
      since_utc   timestamp(6) not null,
      pass        number not null,
      constraint rtm_member_pk primary key (source, channel, user_name)
    )]');
  create_missing(
    'INDEX', 'RTM_MEMBER_CHANNEL_IX', 'create index rtm_member_channel_ix on rtm_member (channel, user_name)'
  );
  create_missing('TABLE', 'RTM_PRESENT', q'[
    create table rtm_present (
      channel   varchar2(512 byte) not null,
      user_name varchar2(1024 byte) not null,
      constraint rtm_present_pk primary key (channel, user_name)
    )]');
end;
/
-- One row per channel and user of the sources that were heard within 15 seconds. While one worker takes
-- over from another both may tell of the same user: the later one counts.
create or replace view rtm_presence as
select m.channel,
       m.user_name,
       max(m.connections) keep (dense_rank last order by s.seen_utc)   as connections,
       max(m.member_info) keep (dense_rank last order by s.seen_utc)   as member_info,
       from_tz(min(m.since_utc), 'UTC')                                as since_ts
from rtm_member m
join rtm_member_source s
  on s.source = m.source
where s.seen_utc > sys_extract_utc(systimestamp) - interval '15' second
group by m.channel, m.user_name
/
