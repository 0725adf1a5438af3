-- The whole number in an attribute. Null stays null; anything else outside the limits is an error.
function whole_number(
  p_text      in varchar2,
  p_attribute in varchar2,
  p_least     in pls_integer,
  p_most      in pls_integer
) return pls_integer
is
begin
  if p_text is null then
    return null;
  elsif not regexp_like(p_text, '^[[:digit:]]{1,8}$') or to_number(p_text) not between p_least and p_most then
    raise_usage(p_attribute || ': write a whole number from ' || p_least || ' to ' || p_most);
  end if;
  return to_number(p_text);
end whole_number;
