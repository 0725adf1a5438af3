create or replace package rtm_jobs authid definer as
  -- Private. The scheduler jobs: RTM_NIGHTLY_JOB (purge) and RTM_SEND_JOB (RTM_DELIVERY over HTTP). Creating
  -- and enabling a job commits: this package is for the installation and for settings, never for the
  -- path of a message.

  -- Creates missing jobs, and enables RTM_SEND_JOB when messages go over HTTP after commit.
  -- Nothing without CREATE JOB.
  procedure refresh;
end rtm_jobs;
/
