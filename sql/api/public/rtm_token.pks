create or replace package rtm_token authid definer as
  -- Private. Signs the tokens of pages: JWT, HS256, docs/protocol.md "Tokens".

  -- True when this schema can sign: EXECUTE on DBMS_CRYPTO, or APEX_JWT.
  function possible return boolean;

  -- A token for p_user with p_channels and p_options, signed with the current secret. p_ttl_s: seconds to
  -- live. Every token says who it is for (sub; self, the user's channel, unless APEX runs the page for
  -- whoever comes), when it was made (iat), its own id (jti) and, inside of an APEX session, which one
  -- (sid): what a revocation can name.
  -- DBMS_CRYPTO signs with the secret's kid in the header; APEX_JWT cannot write a kid, so that
  -- without EXECUTE on DBMS_CRYPTO the relay must know one secret only.
  -- Raises -20101 for a name, -20106 for another bad option, -20104 without a secret, -20112 when
  -- signing is not possible, -20111 in a clone.
  function sign(
    p_user     in varchar2,
    p_channels in websocket_api.t_channels,
    p_options  in websocket_api.t_token_options,
    p_ttl_s    in number
  ) return varchar2;

  -- What tokens carry in place of the id of an APEX session: a keyed hash, 32 hex digits. Whoever reads
  -- a token learns no session id from it; the key never leaves the database.
  function session_claim(p_session in number) return varchar2;
end rtm_token;
/
