-- The sales feed without a hand-written trigger, on the table of sales_trigger.sql.
begin
  rtm_watch.watch(
    p_table   => 'DEMO_ORDERS',
    p_channel => 'sales',
    p_columns => 'ID,CUSTOMER,AMOUNT',
    p_when    => ':new.amount > 0'
  );
end;
/
