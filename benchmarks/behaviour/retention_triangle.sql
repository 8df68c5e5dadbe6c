-- Weekly cohorts by day 0 to 30: a user's days are bits of one number, so that the events are folded once a user.
WITH people AS (
  SELECT user_id, registered_at::DATE AS day0 FROM users
), returned AS (
  SELECT user_id, day0, bit_or(1::UINTEGER << (event_time::DATE - day0)::UINTEGER) AS days
  FROM events JOIN people USING (user_id)
  WHERE event_time::DATE - day0 BETWEEN 0 AND 30
  GROUP BY 1, 2
), retained AS (
  SELECT date_trunc('week', day0)::DATE AS week, day, count(*) AS users
  FROM returned, range(31) AS numbers(day)
  WHERE days & (1::UINTEGER << day::UINTEGER) > 0
  GROUP BY 1, 2
), sizes AS (
  SELECT day0, count(*) AS users FROM people GROUP BY 1
), cohorts AS (
  SELECT date_trunc('week', day0)::DATE AS week, day,
    coalesce(sum(users) FILTER (day0 + day::INTEGER <= DATE '2026-10-31'), 0) AS cohort,
    coalesce(sum(users) FILTER (day0 + day::INTEGER > DATE '2026-10-31'), 0) AS left_out
  FROM sizes, range(31) AS numbers(day)
  GROUP BY 1, 2
)
SELECT week, day, coalesce(users, 0) / nullif(cohort, 0), cohort, coalesce(users, 0), left_out
FROM cohorts LEFT JOIN retained USING (week, day)
ORDER BY 1, 2
