-- Messages to one user, and to the people in one room. Who may listen is decided where the token is
-- made: in your code, on the server.
create or replace package demo_rooms authid definer as
  -- A token for the user of this APEX session: the own channel, and the room if the user is a member.
  function page_token(p_room_id in number) return varchar2;
  procedure notify_user(p_user in varchar2, p_text in varchar2);
  procedure notify_room(p_room_id in number, p_text in varchar2);
end demo_rooms;
/
create or replace package body demo_rooms as
  function room_channel(p_room_id in number) return varchar2 is
  begin
    return 'room:' || to_char(p_room_id);
  end room_channel;

  function is_member(p_room_id in number) return boolean is
  begin
    -- Your rule; here everybody may enter rooms below 100.
    return p_room_id < 100;
  end is_member;

  function page_token(p_room_id in number) return varchar2 is
    l_channels websocket_api.t_channels;
  begin
    l_channels(1) := websocket_api.user_channel;
    if is_member(p_room_id) then
      l_channels(2) := room_channel(p_room_id);
    end if;
    return websocket_api.client_token(l_channels);
  end page_token;

  procedure send(p_channel in varchar2, p_text in varchar2) is
    l_payload clob;
  begin
    select json_object('text' value p_text returning clob) into l_payload from dual;
    websocket_api.broadcast(p_channel, 'notice', l_payload, p_source => 'DEMO_ROOMS');
  end send;

  procedure notify_user(p_user in varchar2, p_text in varchar2) is
  begin
    send(websocket_api.user_channel(p_user), p_text);
  end notify_user;

  procedure notify_room(p_room_id in number, p_text in varchar2) is
  begin
    send(room_channel(p_room_id), p_text);
  end notify_room;
end demo_rooms;
/
