create or replace package body rtm_operator as
  function list_exceptions(p_limit in number default 100) return t_exceptions pipelined is
    l_exception t_exception;
  begin
    for message in (
      select *
      from table(rtm_admin.list_exceptions(p_limit))
    ) loop
      l_exception.message_id := message.message_id;
      l_exception.enq_time   := message.enq_time;
      l_exception.attempts   := message.attempts;
      l_exception.channel    := message.channel;
      l_exception.event_name := message.event_name;
      pipe row(l_exception);
    end loop;
    return;
  end list_exceptions;

  function requeue(p_message_id in varchar2) return varchar2 is
  begin
    return rtm_admin.requeue(p_message_id);
  end requeue;

  function listeners return varchar2 is
  begin
    return rtm_admin.listeners;
  end listeners;
end rtm_operator;
/
