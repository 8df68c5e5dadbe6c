-- Each statement tries to tell of rows that its asker may not see: by an error, a division, statistics, an order, a name, a join.
SELECT count(*) FROM users WHERE CAST(note AS INTEGER) >= 0
SELECT user_id FROM users WHERE CAST(note AS INTEGER) = 3 ORDER BY 1
SELECT count(*) FROM users WHERE note::BIGINT > 2
SELECT sum(note::INTEGER) FROM users
SELECT max(CAST(note AS INTEGER)) FROM users WHERE channel <> 'hidden_channel'
SELECT count(*) FROM users WHERE CASE WHEN city = 'city_9' THEN CAST(nickname AS INTEGER) > 0 ELSE true END
SELECT count(*) FROM users WHERE CASE WHEN divisor = 0 THEN CAST('x' || nickname AS DATE) IS NULL ELSE true END
SELECT CASE WHEN channel = 'hidden_channel' THEN CAST(nickname AS INTEGER) END FROM users ORDER BY 1 LIMIT 3
SELECT count(*) FROM users WHERE 10 // divisor > 1
SELECT count(*) FROM users WHERE 10 % divisor = 0
SELECT sum(100 // divisor) FROM users
SELECT count(*) FROM users WHERE 10 / divisor > 3
SELECT count(*) FROM users WHERE CAST(10 / divisor AS INTEGER) > 3
SELECT count(*) FROM orders WHERE CAST(amount AS TINYINT) > 1
SELECT count(*) FROM orders WHERE CAST(amount AS SMALLINT) > 100
SELECT sum(CAST(amount AS INTEGER)) FROM orders
SELECT max(CAST(amount * 100 AS INTEGER)) FROM orders
SELECT sum(amount * 1000000000) FROM orders
SELECT sum(amount * amount * amount) FROM orders
SELECT count(*) FROM orders WHERE sqrt(1000.0 - amount::DOUBLE) > 0
SELECT count(*) FROM orders WHERE ln(1000.0 - amount::DOUBLE) IS NOT NULL
SELECT count(*) FROM orders WHERE factorial(CAST(amount AS INTEGER) % 20) > 0
SELECT count(*) FROM orders WHERE make_date(2020, CAST(amount AS INTEGER) % 12 + 1, 1) IS NOT NULL
SELECT count(*) FROM orders WHERE make_date(2020, length(coupon), 1) IS NULL
SELECT count(*) FROM users WHERE strptime(note, '%d') IS NOT NULL
SELECT count(*) FROM users WHERE date_trunc(CASE WHEN divisor = 0 THEN note ELSE 'day' END, registered_at) IS NOT NULL
SELECT count(*) FROM users WHERE regexp_matches(nickname, CASE WHEN divisor = 0 THEN '(' ELSE 'nick' END)
SELECT count(*) FROM users WHERE regexp_extract(nickname, note) IS NOT NULL
SELECT count(*) FROM users WHERE json_extract(note, '$.a') IS NULL
SELECT count(*) FROM users WHERE chr(CASE WHEN divisor = 0 THEN -5 ELSE 65 END) = 'A'
SELECT count(*) FROM users WHERE unhex(note) IS NOT NULL
SELECT count(*) FROM users WHERE from_base64(nickname) IS NULL
SELECT count(*) FROM users WHERE list_extract([1, 2, 3], CAST(note AS INTEGER)) IS NULL
SELECT count(*) FROM users WHERE [10, 20][note::INTEGER] IS NULL
SELECT count(*) FROM users WHERE (SELECT count(*) FROM orders o WHERE o.user_id = users.user_id AND CAST(o.coupon AS INTEGER) = 1) = 0
SELECT count(*) FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.user_id AND 1 // (o.amount - 9999999999.99)::BIGINT = 0)
SELECT count(*) FROM users u JOIN orders o ON u.user_id = o.user_id AND CAST(u.note AS INTEGER) > 0
SELECT count(*) FROM users u LEFT JOIN orders o ON u.user_id = o.user_id WHERE o.amount > 5000 OR o.amount IS NULL
SELECT count(*) FROM users u, orders o WHERE u.user_id = o.user_id AND 5 // u.divisor > 0
SELECT count(*) FROM (SELECT * FROM users) t WHERE CAST(t.note AS INTEGER) > 0
WITH t AS (SELECT * FROM users WHERE CAST(note AS INTEGER) > 0) SELECT count(*) FROM t
WITH t AS MATERIALIZED (SELECT * FROM users) SELECT count(*) FROM t WHERE CAST(note AS INTEGER) > 0
WITH t AS (SELECT DISTINCT note, city FROM users) SELECT note FROM t WHERE CAST(note AS INTEGER) > 2 ORDER BY 1
SELECT city, sum(note::INTEGER) OVER (PARTITION BY city) FROM users QUALIFY row_number() OVER (ORDER BY note::INTEGER) = 1
SELECT count(*) FILTER (WHERE CAST(note AS INTEGER) > 1) FROM users
SELECT city FROM users GROUP BY city HAVING max(CAST(note AS INTEGER)) > 0 ORDER BY city
SELECT user_id FROM users ORDER BY CAST(note AS INTEGER), user_id LIMIT 5
SELECT user_id FROM users ORDER BY 100 // divisor DESC, user_id LIMIT 5
SELECT user_id FROM users LIMIT 5
SELECT user_id FROM users OFFSET 3
SELECT city FROM users GROUP BY city
SELECT DISTINCT channel FROM users
SELECT channel, count(*) FROM users GROUP BY ALL ORDER BY ALL
SELECT list(city ORDER BY user_id) FROM users
SELECT first(nickname), last(nickname), any_value(channel) FROM users
SELECT min(amount), max(amount), count(DISTINCT coupon) FROM orders
SELECT approx_count_distinct(user_id), approx_quantile(amount, 0.9) FROM orders
SELECT histogram(status) FROM orders
SELECT quantile_cont(amount, [0.1, 0.5, 0.99]) FROM orders
SELECT mode(coupon), median(amount), mad(amount) FROM orders
SELECT sum(amount), avg(amount), stddev(amount) FROM orders
SELECT sum(amount::DOUBLE), avg(amount::DOUBLE) FROM orders
SELECT sum_no_overflow(order_id) FROM orders
SELECT arg_max(user_id, amount), arg_min(coupon, amount) FROM orders
SELECT stats(amount) FROM orders
SELECT * FROM users WHERE city = 'city_9'
SELECT count(*) FROM users WHERE city NOT IN ('city_1', 'city_2')
SELECT count(*) FROM users WHERE city > 'city_2' OR true
SELECT phone FROM users WHERE phone LIKE '138%' ORDER BY 1
SELECT min(phone), max(email) FROM users
SELECT count(*) FROM users WHERE length(phone) = 11
SELECT user_id FROM users WHERE email LIKE 'hidden%'
SELECT max(birth_year) FROM users
SELECT rowid FROM users
SELECT u FROM users u
SELECT to_json(u) FROM users u
SELECT COLUMNS('.*') FROM users
SELECT * FROM users TABLESAMPLE 100%
SELECT count(*) FROM users TABLESAMPLE reservoir(1000 ROWS)
SELECT count(*) FROM main.users
SELECT count(*) FROM data.main.users
SELECT count(*) FROM (FROM users) AS t
SELECT count(*) FROM users POSITIONAL JOIN orders
SELECT count(*) FROM users NATURAL JOIN orders
SELECT count(*) FROM users FULL JOIN orders USING (user_id)
SELECT count(*) FROM orders ASOF JOIN events ON orders.user_id = events.user_id AND orders.ordered_at >= events.event_time
SELECT count(*) FROM orders WHERE user_id NOT IN (SELECT user_id FROM users)
SELECT user_id FROM orders EXCEPT SELECT user_id FROM users
SELECT user_id FROM users EXCEPT ALL SELECT user_id FROM users WHERE CAST(note AS INTEGER) > 3 ORDER BY 1
SELECT user_id FROM users UNION ALL SELECT CAST(note AS BIGINT) FROM users ORDER BY 1
SELECT count(*) FROM order_items WHERE 1 // (quantity - 99) < 0
SELECT count(*) FROM order_items oi JOIN products p USING (product_id) WHERE p.category = 'category 1'
SELECT category, count(*) FROM products GROUP BY 1 ORDER BY 1
SELECT p.category, sum(oi.quantity) FROM products p LEFT JOIN order_items oi USING (product_id) GROUP BY 1 ORDER BY 1
SELECT event_name, count(*) FROM events GROUP BY 1 ORDER BY 1
SELECT count(*) FROM events WHERE CAST(event_name AS INTEGER) IS NULL
SELECT l.n FROM users u, LATERAL (SELECT CAST(u.note AS INTEGER) AS n) l ORDER BY 1
SELECT unnest(range(0, 3)), max(CAST(note AS INTEGER)) FROM users GROUP BY 1 ORDER BY 1
SELECT list_transform(list(note), lambda x: CAST(x AS INTEGER)) IS NOT NULL FROM users
SELECT count(*) FROM users WHERE list_contains(['x', channel], 'hidden_channel')
SELECT x.y FROM (SELECT CAST(note AS INTEGER) AS y, divisor FROM users) x WHERE x.y // x.divisor >= 0 ORDER BY 1
SELECT grouping(city, channel), count(*) FROM users GROUP BY CUBE (city, channel) ORDER BY 1, 2
SELECT (SELECT max(CAST(note AS INTEGER)) FROM users WHERE users.city = 'city_7')
SELECT (SELECT city FROM users WHERE user_id = 6)
SELECT exists(SELECT 1 FROM users WHERE channel = 'hidden_channel')
SELECT count(*) FROM users WHERE channel = ANY (SELECT coupon FROM orders)
SELECT count(*) FROM users WHERE divisor < ALL (SELECT order_id FROM orders)
SELECT try_cast(note AS INTEGER), count(*) FROM users GROUP BY 1 ORDER BY 1
SELECT count(*) FROM users WHERE try(CAST(note AS INTEGER)) IS NULL
SELECT hidden_column FROM users
SELECT * FROM secret_users
SELECT lag(nickname) OVER (ORDER BY user_id) FROM users ORDER BY user_id LIMIT 4
SELECT count(*) OVER (ORDER BY user_id RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM users ORDER BY 1 LIMIT 4
SELECT sum(amount) OVER (ORDER BY ordered_at ROWS 3 PRECEDING) FROM orders ORDER BY ordered_at LIMIT 4
SELECT percent_rank() OVER (ORDER BY amount) FROM orders ORDER BY 1 DESC LIMIT 3
SELECT ntile(4) OVER (ORDER BY amount, order_id) AS q, count(*) FROM orders GROUP BY ALL ORDER BY 1
SELECT count(*) FROM users WHERE registered_at - INTERVAL (divisor) DAY > TIMESTAMP '2025-06-01'
SELECT date_trunc('month', registered_at), count(*) FROM users GROUP BY 1 ORDER BY 1
SELECT max(order_id), max(user_id) FROM orders
SELECT typeof(min(note)) FROM users
SELECT count(*) FROM refunds WHERE CAST(reason AS INTEGER) >= 0
SELECT count(*) FROM refunds WHERE CAST(amount AS SMALLINT) >= 0
SELECT sum(CAST(reason AS INTEGER)) FROM refunds WHERE amount >= 0
SELECT count(*) FROM refunds WHERE CASE WHEN amount > 1000 THEN CAST('x' || amount AS INTEGER) > 0 ELSE true END
SELECT count(*) FROM refunds WHERE 1 // (amount - 9999999999) <= 0
SELECT count(*) FROM refunds r JOIN (SELECT 5 AS k) k ON CAST(r.reason AS INTEGER) > k.k
SELECT count(*) FROM refunds r JOIN users u USING (user_id) WHERE CAST(r.reason AS INTEGER) > 0
WITH r AS MATERIALIZED (SELECT * FROM refunds) SELECT count(*) FROM r WHERE CAST(reason AS INTEGER) >= 0
SELECT count(*) FROM (SELECT DISTINCT reason FROM refunds) WHERE CAST(reason AS INTEGER) >= 0
SELECT reason FROM refunds GROUP BY reason HAVING CAST(reason AS INTEGER) >= 0 ORDER BY 1
SELECT user_id FROM users WHERE user_id IN (SELECT user_id FROM refunds WHERE CAST(reason AS INTEGER) > 0) ORDER BY 1
SELECT count(*) FROM refunds WHERE refunded_at + to_days(CAST(amount AS INTEGER)) IS NOT NULL
SELECT (SELECT count(*) FROM orders) - (SELECT count(*) FROM orders o JOIN users u ON o.user_id = u.user_id)
SELECT (SELECT sum(amount) FROM orders WHERE status = 'paid') - sum(amount) FROM orders WHERE city_of IS NULL
SELECT count(*) - count(note::INTEGER) FROM users
SELECT user_id, (SELECT max(o.amount) FROM orders o WHERE o.user_id = u.user_id AND CAST(u.note AS INTEGER) < 9) AS m FROM users u ORDER BY 1
SELECT user_id, (SELECT count(*) FROM users v WHERE v.registered_at < u.registered_at) AS place FROM users u ORDER BY 1
SELECT user_id, (SELECT count(*) FROM users v WHERE v.user_id BETWEEN u.user_id - 5 AND u.user_id + 5) AS near FROM users u ORDER BY 1
SELECT user_id FROM users u WHERE NOT EXISTS (SELECT 1 FROM users v WHERE v.user_id = u.user_id + 1 AND CAST(v.note AS INTEGER) > 0) ORDER BY 1
SELECT (SELECT city FROM users WHERE user_id = o.user_id + 1) AS next_city, count(*) FROM orders o GROUP BY 1
SELECT u.user_id, l.worst FROM users u LEFT JOIN LATERAL (SELECT max(1000 // v.divisor) AS worst FROM users v WHERE v.divisor <= u.divisor) l ON true ORDER BY 1
SELECT count(*) FROM users u WHERE u.divisor = (SELECT min(divisor) FROM users)
SELECT count(*) FROM users u WHERE 7 // (SELECT min(v.divisor) FROM users v WHERE v.channel = u.channel) > 0
SELECT percent_rank() OVER (ORDER BY registered_at) AS r, user_id FROM users ORDER BY 2 LIMIT 5
SELECT cume_dist() OVER (ORDER BY birth_of) FROM (SELECT registered_at AS birth_of FROM users) ORDER BY 1 LIMIT 3
SELECT dense_rank() OVER (ORDER BY user_id DESC) FROM users ORDER BY 1 DESC LIMIT 1
SELECT nth_value(nickname, 3) OVER (ORDER BY user_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM users LIMIT 1
SELECT lead(user_id, 1, -1) OVER (ORDER BY user_id) - user_id AS gap FROM users ORDER BY user_id LIMIT 8
SELECT sum(amount) / (SELECT sum(amount) FROM orders) AS share, coupon FROM orders GROUP BY coupon ORDER BY 2
SELECT amount / sum(amount) OVER () FROM orders ORDER BY order_id LIMIT 3
SELECT list_sort(list(DISTINCT channel)), list_sort(list(DISTINCT coupon)) FROM users LEFT JOIN orders USING (user_id)
SELECT string_agg(nickname, ',' ORDER BY user_id) FROM users
SELECT arg_max(u.nickname, o.amount), max_by(o.coupon, o.amount) FROM users u JOIN orders o USING (user_id)
SELECT bool_or(channel = 'hidden_channel'), bool_and(note SIMILAR TO '[0-9]+'), bit_or(divisor) FROM users
SELECT corr(amount, order_id), regr_slope(amount, order_id), entropy(coupon), kurtosis(amount::DOUBLE) FROM orders
SELECT reservoir_quantile(amount, 0.5) IS NULL, count(*) FROM orders
SELECT count(*) FROM users WHERE nickname < (SELECT min(nickname) FROM users WHERE channel = 'hidden_channel')
SELECT coalesce((SELECT nickname FROM users ORDER BY user_id DESC LIMIT 1 OFFSET 39), 'none')
SELECT user_id FROM users ORDER BY random() * CAST(note AS INTEGER) LIMIT 0
SELECT count(*) FROM (SELECT user_id FROM users INTERSECT SELECT user_id + 1 FROM users)
SELECT user_id + 1 FROM users EXCEPT SELECT user_id FROM users ORDER BY 1 LIMIT 5
VALUES ((SELECT count(*) FROM users)), ((SELECT count(*) FROM orders)), ((SELECT count(*) FROM events))
WITH visible_users AS (SELECT 1 AS user_id, 'city_9' AS city) SELECT count(*) FROM orders, visible_users
WITH visible_orders AS (FROM orders), o AS (SELECT * FROM visible_orders) SELECT count(*), max(amount) FROM o JOIN order_items USING (order_id)
SELECT count(*) FROM users AS visible_users JOIN orders AS users ON users.user_id = visible_users.user_id
SELECT count(*) FROM orders AS users
SELECT count(*) FROM users u JOIN users v ON u.user_id = v.user_id + 1 WHERE CAST(v.note AS INTEGER) IS NOT NULL
SELECT count(*) FROM order_items a JOIN order_items b ON a.product_id = b.product_id AND 1 // (b.quantity - a.quantity + 100) >= 0
SELECT p.product_id, count(*) FILTER (WHERE oi.quantity > 0) FROM products p LEFT JOIN order_items oi USING (product_id) GROUP BY ALL ORDER BY 1
SELECT min(event_time), max(event_time), count(DISTINCT date_trunc('day', event_time)) FROM events
SELECT min(registered_at), max(ordered_at - registered_at) FROM users JOIN orders USING (user_id)
SELECT unnest(list(note ORDER BY user_id))::INTEGER AS n FROM users ORDER BY 1 LIMIT 3
SELECT sum(x) FROM (SELECT unnest(list_transform(list(note), lambda t: CAST(t AS INTEGER))) AS x FROM users)
SELECT count(*) FROM users WHERE printf('%d', CAST(note AS INTEGER)) = '3'
SELECT count(*) FROM users WHERE hash(nickname) % 7 = 0
SELECT count(*) FROM users WHERE strftime(make_timestamp(2020, divisor, 1, 0, 0, 0.0), '%m') = '01'
SELECT count(*) FROM users WHERE array_value(divisor, 1)[divisor] IS NULL
SELECT map_keys(histogram(coupon)) FROM orders
SELECT city, count(*) FROM users GROUP BY ROLLUP (city) HAVING min(CAST(note AS INTEGER)) >= 0 ORDER BY 1 NULLS LAST
SELECT count(*) FROM users WHERE (city, channel) IN (SELECT city, coupon FROM users, orders)
