-- Users by RFM tier: scores of one row a user, folded to at most 125 combinations before the mean is taken and the tier named.
WITH spending AS (
  SELECT user_id, -(DATE '2026-10-31' - max(ordered_at)::DATE) AS r, count(*) AS f, sum(amount)::DOUBLE AS m
  FROM orders
  WHERE paid_at IS NOT NULL AND ordered_at >= DATE '2025-11-01' AND ordered_at < DATE '2026-11-01'
  GROUP BY 1
), cuts AS (
  SELECT quantile_cont(r, [0.2, 0.4, 0.6, 0.8]) AS r_cut, quantile_cont(f, [0.2, 0.4, 0.6, 0.8]) AS f_cut, quantile_cont(m, [0.2, 0.4, 0.6, 0.8]) AS m_cut
  FROM spending
), scored AS (
  SELECT
    (r > r_cut[1])::INTEGER + (r > r_cut[2])::INTEGER + (r > r_cut[3])::INTEGER + (r > r_cut[4])::INTEGER AS r,
    (f > f_cut[1])::INTEGER + (f > f_cut[2])::INTEGER + (f > f_cut[3])::INTEGER + (f > f_cut[4])::INTEGER AS f,
    (m > m_cut[1])::INTEGER + (m > m_cut[2])::INTEGER + (m > m_cut[3])::INTEGER + (m > m_cut[4])::INTEGER AS m
  FROM spending SEMI JOIN users USING (user_id), cuts
), combinations AS (
  SELECT r, f, m, count(*) AS users FROM scored GROUP BY ALL
), means AS (
  SELECT sum(r * users) / sum(users) AS r_mean, sum(f * users) / sum(users) AS f_mean, sum(m * users) / sum(users) AS m_mean
  FROM combinations
)
SELECT
  (['hibernating', 'big spenders slipping away', 'fading regulars', 'loyal at risk',
    'new or occasional', 'promising big spenders', 'loyal low spenders', 'champions'])
  [1 + 4 * (r >= r_mean)::INTEGER + 2 * (f >= f_mean)::INTEGER + (m >= m_mean)::INTEGER] AS tier, sum(users)
FROM combinations, means
GROUP BY 1
ORDER BY 2 DESC, 1
