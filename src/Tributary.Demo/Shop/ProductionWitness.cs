using Npgsql;

namespace Tributary.Demo.Shop;

/// <summary>
/// Proves that production is what it was, whatever agents did to their branches. A <see cref="Testimony"/> holds a checksum of each table
/// that agents touch, over exactly what arriving orders leave alone:
/// products without their stock, price history and returns whole, orders up to the newest at the first look.
/// What arrivals do change is reconciled by count: orders before, and orders committed since, must make the orders now.
/// </summary>
/// <remarks>
/// Arrivals are paused for one short query, in which the snapshot is taken and the counters are read together; the checksums then read the snapshot
/// while orders arrive again.
/// </remarks>
/// <param name="arrivals">Null when nothing arrives.</param>
public sealed class ProductionWitness(string connectionString, OrderArrivals? arrivals)
{
    // A row's text is hashed to 64 bits and the hashes are summed, so that the order in which rows are read does not matter.
    const string Checksums = """
        SELECT 'products' AS name, count(*), sum(hashtextextended(ROW(id, sku, name, category_id, list_price, price, cost, target_stock, attributes, updated_at)::text, 0))::text FROM products
        UNION ALL SELECT 'price_history', count(*), sum(hashtextextended(p::text, 0))::text FROM price_history p
        UNION ALL SELECT 'returns', count(*), sum(hashtextextended(r::text, 0))::text FROM returns r
        UNION ALL SELECT 'orders', count(*), sum(hashtextextended(o::text, 0))::text FROM orders o WHERE id <= $1
        """;

    /// <summary>The first look.</summary>
    public Task<Testimony> LookAsync(CancellationToken cancellationToken) => LookAsync(null, cancellationToken);

    /// <summary>A later look at the same rows, and what differs.</summary>
    public async Task<WitnessVerdict> CompareAsync(Testimony before, CancellationToken cancellationToken)
    {
        var after = await LookAsync(before.NewestOrderId, cancellationToken);
        return new WitnessVerdict(before, after);
    }

    async Task<Testimony> LookAsync(long? newestOrderId, CancellationToken cancellationToken)
    {
        await using var source = ShopDataSource.CreateUnpooled(connectionString);
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        // A row's text depends on the session's time zone.
        await using (var zone = new NpgsqlCommand("SET timezone = 'UTC'", connection))
            await zone.ExecuteNonQueryAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);

        long orders, newest, committed;
        using (arrivals is null ? null : await arrivals.PauseAsync(cancellationToken))
        {
            await using var count = new NpgsqlCommand("SELECT count(*), coalesce(max(id), 0) FROM orders", connection, transaction);
            await using var reader = await count.ExecuteReaderAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            (orders, newest) = (reader.GetInt64(0), reader.GetInt64(1));
            committed = arrivals?.Committed ?? 0;
        }

        var tables = new List<TableChecksum>();
        await using var checksums = new NpgsqlCommand(Checksums, connection, transaction)
        { CommandTimeout = 0, Parameters = { new NpgsqlParameter<long> { TypedValue = newestOrderId ?? newest } } };
        await using (var reader = await checksums.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
                tables.Add(new TableChecksum(reader.GetString(0), reader.GetInt64(1), await reader.IsDBNullAsync(2, cancellationToken) ? "0" : reader.GetString(2)));
        }

        return new Testimony(tables, orders, newestOrderId ?? newest, committed);
    }
}
