-- Day-7 retention by channel: one probe of a small hash table of users, then a count of users by channel.
WITH sizes AS (
  SELECT channel,
    count(*) FILTER (registered_at::DATE + 7 <= DATE '2026-10-31') AS cohort,
    count(*) FILTER (registered_at::DATE + 7 > DATE '2026-10-31') AS left_out
  FROM users
  GROUP BY 1
), back AS (
  SELECT channel, count(DISTINCT user_id) AS retained
  FROM events JOIN (SELECT user_id, channel, registered_at::DATE + 7 AS due FROM users) USING (user_id)
  WHERE event_time::DATE = due
  GROUP BY 1
)
SELECT channel, coalesce(retained, 0) / cohort AS retention, cohort, coalesce(retained, 0), left_out
FROM sizes LEFT JOIN back USING (channel)
ORDER BY 2 DESC, 1
