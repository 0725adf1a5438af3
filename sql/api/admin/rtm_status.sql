-- One row: how things are. Counts end at 10,000.
create or replace view rtm_status as
select websocket_api.transport()        as transport,
       websocket_api.transport_reason() as transport_reason,
       rtm_aq.queue_name()              as queue_name,
       rtm_aq.ready(10000)              as backlog,
       rtm_aq.oldest_age_s(10000)       as oldest_age_s,
       rtm_aq.exceptions(10000)         as exception_depth,
       (select count(*) from rtm_delivery where relay is not null and rownum <= 10000) as outbox_depth,
       rtm_relay.summary()              as relays,
       rtm_admin.listeners()            as listeners,
       rtm_admin.last_error()           as last_error
from dual
/
