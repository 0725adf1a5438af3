create or replace package body rtm_jobs as
  c_nightly constant varchar2(100) := 'begin rtm_admin.purge; end;';

  function there(p_job in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*) into l_count from user_scheduler_jobs where job_name = p_job;
    return l_count > 0;
  end there;

  function does(p_job in varchar2, p_action in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_scheduler_jobs
    where job_name = p_job
      and job_action = p_action;
    return l_count > 0;
  end does;

  procedure refresh is
  begin
    $if rtm_features.c_jobs $then
      if there('RTM_NIGHTLY_JOB') then
        if not does('RTM_NIGHTLY_JOB', c_nightly) then
          -- Before the first release it called RTM_LOG_API.
          dbms_scheduler.set_attribute(
            name      => 'RTM_NIGHTLY_JOB',
            attribute => 'job_action',
            value     => c_nightly
          );
        end if;
      else
        dbms_scheduler.create_job(
          job_name        => 'RTM_NIGHTLY_JOB',
          job_type        => 'PLSQL_BLOCK',
          job_action      => c_nightly,
          repeat_interval => 'FREQ=DAILY;BYHOUR=3;BYMINUTE=15',
          enabled         => true,
          comments        => 'Purges RTM_LOG, claim checks and the exception queue'
        );
      end if;
      if not there('RTM_SEND_JOB') then
        dbms_scheduler.create_job(
          job_name        => 'RTM_SEND_JOB',
          job_type        => 'PLSQL_BLOCK',
          job_action      => 'begin rtm_sender.run; end;',
          repeat_interval => 'FREQ=SECONDLY;INTERVAL=2',
          enabled         => false,
          comments        => 'Sends the messages of RTM_DELIVERY over HTTP'
        );
        -- A run every two seconds would fill the scheduler's log.
        dbms_scheduler.set_attribute(
          name      => 'RTM_SEND_JOB',
          attribute => 'logging_level',
          value     => dbms_scheduler.logging_failed_runs
        );
      end if;
      if websocket_api.transport = 'HTTP_DEFERRED' then
        dbms_scheduler.enable(name => 'RTM_SEND_JOB');
      else
        dbms_scheduler.disable(name => 'RTM_SEND_JOB', force => true);
      end if;
    $else
      null;
    $end
  end refresh;
end rtm_jobs;
/
