create or replace package rtm_members authid definer as
  -- Private. Writes RTM_MEMBER, and tells RTM_EVENTS what has changed in it.

  -- See RTM_WORKER_API.PRESENCE; its parameters are checked there.
  procedure report(
    p_source      in  varchar2,
    p_full        in  number,
    p_channels    in  rtm_worker_api.t_names,
    p_users       in  rtm_worker_api.t_users,
    p_connections in  rtm_worker_api.t_numbers,
    p_infos       in  rtm_worker_api.t_infos,
    p_since_ms    in  rtm_worker_api.t_numbers,
    p_resend      out number
  );
end rtm_members;
/
