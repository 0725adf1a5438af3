create or replace package rtm_token authid definer as
  -- Private. Signs the tokens of pages: JWT, HS256, docs/protocol.md "Tokens".

  -- True when this schema can sign: EXECUTE on DBMS_CRYPTO, or APEX_JWT.
  function possible return boolean;

  -- A token for p_user and p_channels, signed with the current secret. p_ttl_s: seconds to live.
  -- DBMS_CRYPTO signs with the secret's kid in the header; APEX_JWT cannot write a kid, so that
  -- without EXECUTE on DBMS_CRYPTO the relay must know one secret only.
  -- Raises -20104 without a secret, -20112 when signing is not possible, -20111 in a clone.
  function sign(p_user in varchar2, p_channels in websocket_api.t_channels, p_ttl_s in number) return varchar2;
end rtm_token;
/
