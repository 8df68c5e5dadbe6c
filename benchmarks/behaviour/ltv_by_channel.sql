-- LTV of 90 days by channel: orders are summed by channel at once, and users too young are left out of the join.
WITH spent AS (
  SELECT channel, sum(amount) AS amount
  FROM orders JOIN users USING (user_id)
  WHERE paid_at IS NOT NULL AND registered_at < DATE '2026-08-03' AND ordered_at::DATE - registered_at::DATE BETWEEN 0 AND 90
  GROUP BY 1
), sizes AS (
  SELECT channel, count(*) FILTER (registered_at < DATE '2026-08-03') AS cohort, count(*) FILTER (registered_at >= DATE '2026-08-03') AS left_out
  FROM users
  GROUP BY 1
)
SELECT channel, coalesce(amount, 0) / cohort, cohort, left_out
FROM sizes LEFT JOIN spent USING (channel)
ORDER BY 2 DESC, 1
