using System.Globalization;

namespace Tributary.Demo.Shop;

/// <summary>The second half of the generator's SQL: from the lines that each product sells each day to orders, stock and returns.</summary>
sealed class OrdersSql(ShopOptions options, DemandSql demand)
{
    int LastDay => options.Days - 1;

    static string Cdf => string.Join(", ", DemandSql.HourCumulative.Select(share => share.ToString("R", CultureInfo.InvariantCulture)));

    // The lines of a day are numbered; the first m of them open the day's m orders, so that no order is empty, the rest fall anywhere.
    // Order ids rise with time, as a sequence's would.
    public string Slots => $"""
        CREATE TEMP TABLE day_size AS SELECT d, sum(lines)::int AS lines, greatest(1, ceil(sum(lines) / 3.0))::int AS orders FROM cell GROUP BY d HAVING sum(lines) > 0;
        CREATE TEMP TABLE slot AS
        WITH drawn AS (
            SELECT d, k, pg_temp.u(d::bigint * 10000000 + k, 20) * CASE WHEN d = {LastDay} THEN {demand.LastDayShare.ToString("R", CultureInfo.InvariantCulture)} ELSE 1 END AS u
            FROM day_size, generate_series(1, orders) AS k),
        placed AS (
            SELECT d, k, u, cdf, width_bucket(u, cdf[1:23]) AS h FROM drawn, (SELECT ARRAY[{Cdf}]::float8[] AS cdf) AS c),
        timed AS (
            SELECT d, k, {demand.FirstDayLiteral} + make_interval(days => d,
                secs => 3600 * (h + (u - coalesce(cdf[h], 0)) / (cdf[h + 1] - coalesce(cdf[h], 0)))) AS created_at FROM placed)
        SELECT d, k, row_number() OVER (ORDER BY created_at, d, k) AS id, created_at FROM timed;
        ANALYZE slot;
        """;

    public const string Lines = """
        CREATE TEMP TABLE line AS
        WITH numbered AS (
            SELECT product_id, d, price, lines, sum(lines) OVER (PARTITION BY d ORDER BY product_id) - lines AS first FROM cell),
        exploded AS (
            SELECT c.product_id, c.d, c.price, c.first + n AS nth, s.orders FROM numbered c JOIN day_size s USING (d), generate_series(1, c.lines) AS n),
        assigned AS (
            SELECT product_id, d, price, nth,
                   CASE WHEN nth <= orders THEN nth::int ELSE 1 + floor(pg_temp.u(d::bigint * 10000000 + nth, 22) * orders)::int END AS k,
                   pg_temp.u(d::bigint * 10000000 + nth, 23) AS q
            FROM exploded)
        SELECT s.id AS order_id, row_number() OVER (PARTITION BY s.id ORDER BY a.nth)::int AS line_no, a.product_id,
               CASE WHEN q < 0.80 THEN 1 WHEN q < 0.94 THEN 2 ELSE 3 END AS quantity, a.price AS unit_price, s.created_at
        FROM assigned a JOIN slot s ON s.d = a.d AND s.k = a.k;
        """;

    public string People => $"""
        INSERT INTO customers (id, name, email, country, address, created_at)
        SELECT id,
               (ARRAY['Ada','Ben','Chen','Dora','Emil','Fatou','Goran','Hana','Ivan','Jana','Kofi','Lena','Marek','Nora','Omar','Petra','Quinn','Rosa','Samir','Tove'])[1 + floor(20 * pg_temp.u(id, 40))::int]
               || ' ' || (ARRAY['Novak','Berg','Costa','Dubois','Eriksen','Fischer','Garcia','Horvat','Ivanova','Jensen','Kowalski','Lindt','Moreau','Nagy','Okafor','Popescu','Rossi','Svoboda','Tanaka','Weber'])[1 + floor(20 * pg_temp.u(id, 41))::int],
               'customer' || id || '@example.com',
               (ARRAY['CZ','DE','FR','PL','AT','IT','ES','NL','SE','RO'])[1 + floor(10 * power(pg_temp.u(id, 42), 1.5))::int],
               (1 + floor(180 * pg_temp.u(id, 43))::int) || ' ' || (ARRAY['Station Road','Mill Lane','Market Square','River Street','Oak Avenue','Castle Hill','Harbour Way','Garden Row'])[1 + floor(8 * pg_temp.u(id, 44))::int]
               || ', ' || lpad(floor(99999 * pg_temp.u(id, 45))::text, 5, '0'),
               {demand.FirstDayLiteral} - make_interval(secs => 86400 * 900 * pg_temp.u(id, 46))
        FROM generate_series(1, {CustomerCount}) AS id;
        """;

    int CustomerCount => Math.Max(500, options.Orders / 6);

    public string Orders => $"""
        INSERT INTO orders (id, customer_id, created_at, status, total, payment_reference, ship_to, client)
        SELECT s.id, 1 + floor({CustomerCount} * power(pg_temp.u(s.id, 50), 1.6))::bigint, s.created_at,
               CASE WHEN s.created_at > {demand.UntilLiteral} - interval '1 day' THEN 'paid' WHEN s.created_at > {demand.UntilLiteral} - interval '4 days' THEN 'shipped' ELSE 'delivered' END,
               t.total, 'pay_' || md5({options.Seed} || '-' || s.id),
               (1 + floor(180 * pg_temp.u(s.id, 51))::int) || ' ' || (ARRAY['Station Road','Mill Lane','Market Square','River Street','Oak Avenue','Castle Hill','Harbour Way','Garden Row'])[1 + floor(8 * pg_temp.u(s.id, 52))::int]
               || ', ' || lpad(floor(99999 * pg_temp.u(s.id, 53))::text, 5, '0') || ', second floor, please ring twice',
               (ARRAY['Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', 'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15',
                      'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36', 'ShopApp/7.2 (iPhone; iOS 17.5; Scale/3.00)'])[1 + floor(4 * pg_temp.u(s.id, 54))::int]
        FROM slot s JOIN (SELECT order_id, sum(quantity * unit_price) AS total FROM line GROUP BY order_id) t ON t.order_id = s.id
        ORDER BY s.id;
        """;

    public const string OrderLines = """
        INSERT INTO order_lines (order_id, line_no, product_id, quantity, unit_price, ordered_at)
        SELECT order_id, line_no, product_id, quantity, unit_price, created_at FROM line ORDER BY order_id, line_no;
        """;

    // The rate is the expected demand of the last two whole weeks, moved to today's price by the planted elasticity.
    // SKU-7891's excess is what its plain demand would sell until Friday and two percent more, and what the orders that arrive before the question take:
    // whether 12 % off is enough is then an open question that only the fit can answer.
    public string Stock => $"""
        CREATE TEMP TABLE outlook AS
        SELECT p.id AS product_id, last.price, {DemandSql.UnitsPerLine.ToString(CultureInfo.InvariantCulture)} * sum(c.mean * power((last.price / c.price)::float8, p.elasticity)) / 14 AS rate
        FROM plan p JOIN cell c ON c.product_id = p.id AND c.d BETWEEN {LastDay} - 14 AND {LastDay} - 1
        JOIN (SELECT DISTINCT ON (product_id) product_id, price FROM period ORDER BY product_id, n DESC) AS last ON last.product_id = p.id
        GROUP BY p.id, last.price;

        INSERT INTO products (id, sku, name, category_id, list_price, price, cost, stock, target_stock, attributes, updated_at)
        SELECT p.id, 'SKU-' || (6000 + p.id),
               CASE WHEN p.id = {DemandSql.HeroProduct} THEN 'Espresso machine Aurora' ELSE
                   (ARRAY['Aster','Boreal','Cedar','Delta','Ember','Fjord','Grove','Halo','Iris','Juno','Koru','Lumen','Mistral','Nimbus','Orbit','Pico'])[1 + floor(16 * pg_temp.u(p.id, 60))::int]
                   || ' ' || lower(c.name) || ' ' || (100 + p.id) END,
               p.category_id, p.list_price, o.price, round((p.list_price * p.cost_share)::numeric, 2),
               CASE WHEN p.id = {DemandSql.HeroProduct} THEN target + ceil(o.rate * ({DaysToFriday} * 1.02 + {DaysUntilAsked}))
                    WHEN pg_temp.u(p.id, 61) < 0.25 THEN target + 2 + ceil(o.rate * ({DaysToFriday} * (0.8 + 0.6 * pg_temp.u(p.id, 62)) + {DaysUntilAsked}))
                    ELSE ceil(target * (0.5 + 0.5 * pg_temp.u(p.id, 62))) END::int,
               target, jsonb_build_object('weight_g', 100 + floor(5000 * pg_temp.u(p.id, 63))::int, 'colour', (ARRAY['black','white','red','oak','steel'])[1 + floor(5 * pg_temp.u(p.id, 64))::int]),
               {demand.FirstDayLiteral}
        FROM plan p JOIN outlook o ON o.product_id = p.id JOIN categories c ON c.id = p.category_id, LATERAL (SELECT 5 + ceil(10 * o.rate)::int AS target) AS t
        ORDER BY p.id;

        INSERT INTO price_history (product_id, price, valid_from, reason)
        SELECT product_id, price, {demand.FirstDayLiteral} + make_interval(days => from_day), CASE WHEN n = 0 THEN 'list price' ELSE 'campaign' END
        FROM period ORDER BY from_day, product_id, n;
        """;

    string DaysUntilAsked => ((double)options.OrdersUntilAsked * options.Days / options.Orders).ToString("F3", CultureInfo.InvariantCulture);

    string DaysToFriday => (ComingFriday.EndAfter(options.Until) - options.Until).TotalDays.ToString("F3", CultureInfo.InvariantCulture);

    // Each week receives what the week before sold, and the opening stock is what makes the movements of a product sum to its stock.
    public string Movements => $"""
        CREATE TEMP TABLE receipt AS
        SELECT product_id, 1 + extract(epoch FROM created_at - {demand.FirstDayLiteral})::int / 604800 AS week, sum(quantity)::int AS quantity
        FROM line GROUP BY 1, 2;
        INSERT INTO stock_movements (product_id, order_id, quantity, reason, moved_at)
        SELECT p.id, NULL::bigint, p.stock + coalesce(r.quantity, 0), 'opening', {demand.FirstDayLiteral}
        FROM products p LEFT JOIN (
            SELECT product_id, sum(quantity)::int AS quantity FROM receipt WHERE {demand.FirstDayLiteral} + make_interval(days => 7 * week) > {demand.UntilLiteral} GROUP BY product_id) AS r ON r.product_id = p.id
        ORDER BY p.id;
        INSERT INTO stock_movements (product_id, order_id, quantity, reason, moved_at)
        SELECT product_id, NULL, quantity, 'receipt', {demand.FirstDayLiteral} + make_interval(days => 7 * week)
        FROM receipt WHERE {demand.FirstDayLiteral} + make_interval(days => 7 * week) <= {demand.UntilLiteral} ORDER BY week, product_id;
        INSERT INTO stock_movements (product_id, order_id, quantity, reason, moved_at)
        SELECT product_id, order_id, -quantity, 'sale', created_at FROM line ORDER BY order_id, line_no;
        """;

    public string Returns => $"""
        INSERT INTO returns (order_id, line_no, quantity, reason, returned_at)
        SELECT order_id, line_no, 1, (ARRAY['wrong size','damaged','changed my mind','late','not as described'])[1 + floor(5 * pg_temp.u(order_id * 64 + line_no, 71))::int], returned_at
        FROM (SELECT order_id, line_no, created_at + make_interval(secs => 86400 * (2 + 18 * pg_temp.u(order_id * 64 + line_no, 72))) AS returned_at
              FROM line WHERE pg_temp.u(order_id * 64 + line_no, 70) < 0.03) AS r
        WHERE returned_at <= {demand.UntilLiteral} ORDER BY returned_at, order_id, line_no;
        """;

    static readonly string[] TablesWithSequence = ["customers", "orders", "price_history", "returns", "stock_movements"];

    public static string Sequences => string.Concat(TablesWithSequence.Select(table =>
        $"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}));\n"));
}
