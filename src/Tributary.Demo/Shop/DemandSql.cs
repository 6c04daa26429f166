using System.Globalization;

namespace Tributary.Demo.Shop;

/// <summary>
/// The first half of the generator's SQL: random numbers, products, prices, and how many lines each product sells each day.
/// Everything random is a hash of (row key, stream, seed), so that no statement depends on the order in which rows are met.
/// Working tables and functions are temporary and vanish with the session.
/// </summary>
sealed class DemandSql(ShopOptions options)
{
    /// <summary>SKU-7891; SKUs are numbered from 6,001.</summary>
    public const int HeroProduct = 1_891;
    const int HeroRank = 40;

    /// <summary>Mean units a line, by the thresholds in <see cref="OrdersSql.Lines"/>.</summary>
    public const double UnitsPerLine = 1.26;

    // Share of a day's orders in each hour, UTC: a quiet night, a lunch bump, an evening peak.
    static readonly double[] HourWeights = [10, 6, 4, 3, 3, 5, 12, 24, 38, 48, 54, 58, 66, 62, 54, 52, 56, 64, 76, 90, 96, 80, 50, 24];

    public static readonly IReadOnlyList<double> HourCumulative = Cumulate(HourWeights);

    DateTimeOffset Until => options.Until.ToUniversalTime();

    public string UntilLiteral => $"timestamptz '{Until.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture)}+00'";

    public string FirstDayLiteral => $"timestamptz '{Until.UtcDateTime.Date.AddDays(1 - options.Days):yyyy-MM-dd} 00:00:00+00'";

    /// <summary>How much of the last day's business lies before <see cref="ShopOptions.Until"/>.</summary>
    public double LastDayShare
    {
        get
        {
            var hours = Until.UtcDateTime.TimeOfDay.TotalHours;
            var hour = (int)hours;
            var low = hour == 0 ? 0 : HourCumulative[hour - 1];
            return Math.Max(low + (HourCumulative[hour] - low) * (hours - hour), 1e-6);
        }
    }

    // hashint8extended is Postgres's own 64-bit hash; u is uniform in (0, 1), z standard normal (Box-Muller).
    // poisson inverts the distribution function up to a mean of 40 and rounds a normal above, where the two agree within a percent.
    public string Functions => $"""
        CREATE FUNCTION pg_temp.u(key bigint, stream int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT (((hashint8extended(key, {options.Seed}::bigint * 1000 + stream) >> 11) & 4503599627370495)::float8 + 0.5) / 4503599627370496::float8 $$;
        CREATE FUNCTION pg_temp.z(key bigint, stream int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT sqrt(-2 * ln(pg_temp.u(key, stream))) * cos(2 * pi() * pg_temp.u(key, stream + 1)) $$;
        CREATE FUNCTION pg_temp.poisson(mean float8, draw float8, normal float8) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
            DECLARE n int := 0; p float8 := exp(-least(mean, 700)); total float8 := p;
            BEGIN
                IF mean > 40 THEN RETURN greatest(0, round(mean + sqrt(mean) * normal))::int; END IF;
                WHILE draw > total AND n < 200 LOOP n := n + 1; p := p * mean / n; total := total + p; END LOOP;
                RETURN n;
            END $$;
        """;

    public string Products => $"""
        INSERT INTO categories SELECT * FROM (VALUES {string.Join(", ", ProductCategory.All.Select(c => $"({c.Id}, '{c.Name}')"))}) AS c(id, name);
        CREATE TEMP TABLE planted AS SELECT * FROM (VALUES
            {string.Join(", ", ProductCategory.All.Select(c => string.Create(CultureInfo.InvariantCulture, $"({c.Id}, {c.Elasticity:F3}::float8, {c.TypicalPrice:F2}::float8)")))}) AS p(category_id, elasticity, typical_price);

        CREATE TEMP TABLE plan AS
        WITH drawn AS (
            SELECT id, row_number() OVER (ORDER BY pg_temp.u(id, 1), id) AS rank,
                   CASE WHEN id = {HeroProduct} THEN {ProductCategory.HeroCategory}
                        ELSE 1 + floor(pg_temp.u(id, 2) * {ProductCategory.All.Count})::int END AS category_id
            FROM generate_series(1, {options.Products}) AS id),
        -- The product at the hero's rank changes places with it, so that ranks stay a permutation.
        ranked AS (
            SELECT id, category_id, CASE WHEN id = {HeroProduct} THEN {HeroRank}
                WHEN rank = {HeroRank} THEN (SELECT rank FROM drawn WHERE id = {HeroProduct}) ELSE rank END AS rank
            FROM drawn)
        SELECT id, rank, category_id, elasticity,
               -- Zipf with a Mandelbrot offset: without it the first product alone would take a tenth of all sales.
               1 / power(rank + 8, 0.95) AS weight,
               CASE WHEN id = {HeroProduct} THEN 89.99 ELSE greatest(round((typical_price * exp(0.45 * pg_temp.z(id, 3)))::numeric) - 0.01, 0.99) END AS list_price,
               0.52 + 0.14 * pg_temp.u(id, 5) AS cost_share,
               5 + floor(4 * pg_temp.u(id, 6))::int AS periods
        FROM ranked JOIN planted USING (category_id);

        -- Prices change at midnight; each product has 5 to 8 periods of about equal length and starts with its list price.
        CREATE TEMP TABLE period AS
        SELECT p.id AS product_id, n,
               CASE WHEN n = 0 THEN 0 ELSE floor({options.Days} * (n + 0.6 * (pg_temp.u(p.id * 16 + n, 7) - 0.5)) / p.periods)::int END AS from_day,
               CASE WHEN n = 0 THEN p.list_price
                    ELSE greatest(round((p.list_price * (0.76 + 0.40 * pg_temp.u(p.id * 16 + n, 8)))::numeric, 2), 0.50) END AS price
        FROM plan p, generate_series(0, p.periods - 1) AS n;
        """;

    public string Demand => $"""
        CREATE TEMP TABLE day AS
        SELECT d, (ARRAY[0.95, 0.85, 0.88, 0.92, 1.10, 1.35, 1.25])[extract(isodow FROM ({FirstDayLiteral} + d * interval '1 day') AT TIME ZONE 'UTC')::int]::float8
            * (1 + 0.0015 * d)::float8 * exp(0.06 * pg_temp.z(d, 10)) * CASE WHEN d = {options.Days - 1} THEN {LastDayShare.ToString("R", CultureInfo.InvariantCulture)}::float8 ELSE 1 END AS traffic
        FROM generate_series(0, {options.Days - 1}) AS d;
        ANALYZE day;

        CREATE TEMP TABLE expected AS
        WITH ranged AS (
            SELECT product_id, price, from_day, lead(from_day, 1, {options.Days}) OVER (PARTITION BY product_id ORDER BY n) AS to_day,
                   p.weight * power((price / p.list_price)::float8, p.elasticity) AS base
            FROM period JOIN plan p ON p.id = product_id)
        SELECT r.product_id, day.d, r.price,
               r.base * day.traffic * exp(0.12 * pg_temp.z(r.product_id::bigint * 1000 + day.d, 12)) AS mean
        FROM ranged r CROSS JOIN LATERAL generate_series(r.from_day, r.to_day - 1) AS n JOIN day ON day.d = n;

        CREATE TEMP TABLE cell AS
        SELECT product_id, d, price, mean * factor AS mean,
               pg_temp.poisson(mean * factor, pg_temp.u(product_id::bigint * 1000 + d, 14), pg_temp.z(product_id::bigint * 1000 + d, 15)) AS lines
        FROM expected, (SELECT {options.Orders} * 3.0::float8 / sum(mean ORDER BY product_id, d) AS factor FROM expected) AS scale;
        ANALYZE cell;
        """;

    static double[] Cumulate(double[] weights)
    {
        var total = weights.Sum();
        var sum = 0.0;
        return [.. weights.Select(weight => (sum += weight) / total)];
    }
}
