-- Lifecycle stages of 13 weeks: a user's weeks are bits of one number; users with the same weeks are counted together.
WITH active AS (
  SELECT user_id, bit_or(1::UINTEGER << date_diff('week', DATE '2026-06-29', event_time)::UINTEGER) AS weeks
  FROM events
  WHERE event_time >= DATE '2026-06-29' AND event_time < DATE '2026-10-05'
  GROUP BY 1
), patterns AS (
  SELECT weeks, date_diff('week', DATE '2026-06-29', registered_at) AS entered, count(*) AS users
  FROM active JOIN users USING (user_id)
  GROUP BY 1, 2
), stages AS (
  SELECT DATE '2026-06-29' + 7 * n::INTEGER AS week, users,
    CASE
      WHEN (weeks >> n::UINTEGER) & 1 = 0 THEN 'dormant'
      WHEN entered = n THEN 'new'
      WHEN (weeks >> (n - 1)::UINTEGER) & 1 = 1 THEN 'returning'
      ELSE 'resurrecting'
    END AS stage
  FROM patterns, range(1, 14) AS numbers(n)
  WHERE (weeks >> (n - 1)::UINTEGER) & 3 > 0
)
SELECT week, stage, sum(users) FROM stages GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
