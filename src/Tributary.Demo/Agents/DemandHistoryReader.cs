using Npgsql;

namespace Tributary.Demo.Agents;

/// <summary>
/// Reads a product's demand with ordinary SQL. Every query walks indexes only (order_lines_product_idx, orders_created_idx) and touches
/// the rows of one category: some tens of milliseconds, also when a branch's caches are cold.
/// </summary>
static class DemandHistoryReader
{
    // A branch's server may have parallel plans and compilation on; for queries this short both cost more than they save.
    const string Session = "SET timezone = 'UTC'; SET jit = off; SET max_parallel_workers_per_gather = 0";

    /// <summary>Null when the SKU is unknown or the shop has no whole day of orders.</summary>
    public static async Task<DemandHistory?> ReadAsync(NpgsqlConnection connection, string sku, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using (var session = new NpgsqlCommand(Session, connection))
            await session.ExecuteNonQueryAsync(cancellationToken);
        if (await ReadProductAsync(connection, sku, cancellationToken) is not { } product)
            return null;
        var end = now.UtcDateTime.Date;
        await using var oldest = new NpgsqlCommand("SELECT min(created_at) FROM orders", connection);
        if (await oldest.ExecuteScalarAsync(cancellationToken) is not DateTime first || first.Date >= end)
            return null;
        var start = first.Date;
        var orders = await ReadOrdersByHourAsync(connection, start, end, cancellationToken);
        var periods = await ReadPeriodsAsync(connection, product.CategoryId, start, end, cancellationToken);
        var units = await ReadUnitsByDayAsync(connection, product.Id, start, end, cancellationToken);
        return new DemandHistory(product, new DateTimeOffset(start, TimeSpan.Zero), orders, periods, units);
    }

    /// <summary>The product as it is now; read again after a change.</summary>
    public static async Task<ProductState?> ReadProductAsync(NpgsqlConnection connection, string sku, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT id, sku, name, category_id, price::float8, cost::float8, stock, target_stock FROM products WHERE sku = $1", connection)
        { Parameters = { new NpgsqlParameter<string> { TypedValue = sku } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new ProductState(
                reader.GetInt32(0), reader.GetString(1), reader.GetString(2), reader.GetInt32(3), reader.GetDouble(4), reader.GetDouble(5),
                reader.GetInt32(6), reader.GetInt32(7))
            : null;
    }

    // Order ids come from a sequence and rise with time, so the first id after each full hour counts the orders between two hours
    // with one index probe an hour. Gaps that rolled back transactions leave are far below the noise of an hour.
    static async Task<double[]> ReadOrdersByHourAsync(NpgsqlConnection connection, DateTime start, DateTime end, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            SELECT coalesce((SELECT id FROM orders WHERE created_at >= hour ORDER BY created_at, id LIMIT 1), (SELECT max(id) + 1 FROM orders))
            FROM generate_series($1, $2, interval '1 hour') AS hour
            """, connection)
        { Parameters = { Utc(start), Utc(end) } };
        var ids = new List<long>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            ids.Add(reader.GetInt64(0));
        return [.. ids.Zip(ids.Skip(1), (from, to) => (double)Math.Max(0, to - from))];
    }

    static async Task<List<PricePeriod>> ReadPeriodsAsync(
        NpgsqlConnection connection, int category, DateTime start, DateTime end, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            SELECT h.product_id, h.price, greatest(h.valid_from, $2), h.valid_to, coalesce(l.units, 0)::float8
            FROM (SELECT h.product_id, h.price::float8 AS price, h.valid_from, lead(h.valid_from, 1, $3) OVER (PARTITION BY h.product_id ORDER BY h.valid_from, h.id) AS valid_to
                  FROM products p JOIN price_history h ON h.product_id = p.id WHERE p.category_id = $1 AND h.valid_from < $3) AS h
            CROSS JOIN LATERAL (
                SELECT sum(quantity) AS units FROM order_lines WHERE product_id = h.product_id AND ordered_at >= h.valid_from AND ordered_at < h.valid_to) AS l
            WHERE h.valid_to > $2 ORDER BY h.product_id, h.valid_from
            """, connection)
        { Parameters = { new NpgsqlParameter<int> { TypedValue = category }, Utc(start), Utc(end) } };
        var periods = new List<PricePeriod>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            periods.Add(new PricePeriod(
                reader.GetInt32(0), reader.GetDouble(1), reader.GetFieldValue<DateTimeOffset>(2), reader.GetFieldValue<DateTimeOffset>(3), reader.GetDouble(4)));
        }

        return periods;
    }

    static async Task<double[]> ReadUnitsByDayAsync(NpgsqlConnection connection, int product, DateTime start, DateTime end, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            SELECT date_bin(interval '1 day', ordered_at, $2), sum(quantity)
            FROM order_lines WHERE product_id = $1 AND ordered_at >= $2 AND ordered_at < $3 GROUP BY 1
            """, connection)
        { Parameters = { new NpgsqlParameter<int> { TypedValue = product }, Utc(start), Utc(end) } };
        var units = new double[(end - start).Days];
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            units[(reader.GetDateTime(0) - start).Days] = reader.GetInt64(1);
        return units;
    }

    static NpgsqlParameter<DateTime> Utc(DateTime value) => new() { TypedValue = DateTime.SpecifyKind(value, DateTimeKind.Utc) };
}
