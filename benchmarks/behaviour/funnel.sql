-- Four steps within 168 hours of the first: each step is the earliest event from the step before on, one join and one fold.
WITH first AS (
  SELECT user_id, min(event_time) AS step_1, min(event_time) + INTERVAL 168 HOUR AS until
  FROM events
  WHERE event_name = 'view_product'
  GROUP BY 1
), second AS (
  SELECT user_id, any_value(until) AS until, min(event_time) AS step_2
  FROM events JOIN first USING (user_id)
  WHERE event_name = 'add_to_cart' AND event_time >= step_1 AND event_time <= until
  GROUP BY 1
), third AS (
  SELECT user_id, any_value(until) AS until, min(event_time) AS step_3
  FROM events JOIN second USING (user_id)
  WHERE event_name = 'checkout' AND event_time >= step_2 AND event_time <= until
  GROUP BY 1
), fourth AS (
  SELECT user_id, min(event_time) AS step_4
  FROM events JOIN third USING (user_id)
  WHERE event_name = 'pay' AND event_time >= step_3 AND event_time <= until
  GROUP BY 1
), walked AS (
  SELECT step_1, step_2, step_3, step_4, step_1::DATE + 7 <= DATE '2026-10-31' AS is_mature
  FROM first LEFT JOIN second USING (user_id) LEFT JOIN third USING (user_id) LEFT JOIN fourth USING (user_id)
), counts AS (
  SELECT
    count(*) FILTER (is_mature) AS users_1, count(step_2) FILTER (is_mature) AS users_2,
    count(step_3) FILTER (is_mature) AS users_3, count(step_4) FILTER (is_mature) AS users_4,
    median(date_diff('second', step_1, step_2)) FILTER (is_mature) / 3600.0 AS hours_2,
    median(date_diff('second', step_2, step_3)) FILTER (is_mature) / 3600.0 AS hours_3,
    median(date_diff('second', step_3, step_4)) FILTER (is_mature) / 3600.0 AS hours_4,
    count(*) FILTER (NOT is_mature) AS left_out
  FROM walked
)
SELECT 'view_product', users_1 / users_1, users_1, users_1 / users_1, NULL, 1, left_out FROM counts
UNION ALL SELECT 'add_to_cart', users_2 / users_1, users_2, users_2 / users_1, hours_2, 2, left_out FROM counts
UNION ALL SELECT 'checkout', users_3 / users_1, users_3, users_3 / users_2, hours_3, 3, left_out FROM counts
UNION ALL SELECT 'pay', users_4 / users_1, users_4, users_4 / users_3, hours_4, 4, left_out FROM counts
