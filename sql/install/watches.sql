-- Makes the triggers of RTM_WATCH again that an older version has made, as far as this schema may; it
-- names the schemas that must do it themselves. Until then the old ones go on working.
begin
  execute immediate 'begin rtm_watch.refresh(p_old_only => true); end;';
end;
/
