-- Sample data: the shop's stock.

insert into stock_levels (id, sku, location, on_hand)
select
    demo.id('stock ' || depot || ' ' || item),
    'SKU-' || lpad((item + 1)::text, 3, '0'),
    'depot-' || depot,
    120 + floor(demo.chance('on hand ' || depot || ' ' || item) * 200)::int
from generate_series(1, current_setting('demo.scale')::int) as depot
cross join generate_series(0, 39) as item;
