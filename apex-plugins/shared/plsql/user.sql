-- Without a login everybody would be one user.
function is_logged_in return boolean
is
begin
  return lower(apex_application.g_user) not in ('nobody', 'apex_public_user');
end is_logged_in;
