using Npgsql;

namespace Tributary.Demo.Agents;

/// <summary>Fresh data from the Postgres replica that the stream keeps. Owns its connections; dispose it after the last question.</summary>
public sealed class ReplicaFreshData(string connectionString, TimeProvider time) : IFreshData, IAsyncDisposable
{
    readonly NpgsqlDataSource _source = ShopDataSource.Create(connectionString);

    public async Task<BestSellers> BestSellersAsync(int count, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        await using var connection = await _source.OpenConnectionAsync(cancellationToken);
        var now = time.GetUtcNow();
        var items = new List<BestSeller>();
        await using (var command = new NpgsqlCommand("""
            SELECT p.sku, p.name, sum(l.quantity), sum(l.quantity * l.unit_price)
            FROM orders o JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id
            WHERE o.created_at > $1 GROUP BY p.id, p.sku, p.name ORDER BY 3 DESC, 1 LIMIT $2
            """, connection)
        { Parameters = { new NpgsqlParameter<DateTime> { TypedValue = now.UtcDateTime.AddHours(-1) }, new NpgsqlParameter<int> { TypedValue = count } } })
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
                items.Add(new BestSeller(reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.GetDecimal(3)));
        }

        await using var newest = new NpgsqlCommand("SELECT max(created_at) FROM orders", connection);
        DateTimeOffset? newestAt = await newest.ExecuteScalarAsync(cancellationToken) is DateTime at ? new DateTimeOffset(at, TimeSpan.Zero) : null;
        return new BestSellers(items, newestAt, time.GetUtcNow() - newestAt);
    }

    public async Task<ProductFacts?> FindProductAsync(string sku, CancellationToken cancellationToken)
    {
        await using var connection = await _source.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand("""
            SELECT p.sku, p.name, c.name, p.price, p.stock, p.target_stock FROM products p JOIN categories c ON c.id = p.category_id WHERE p.sku = $1
            """, connection)
        { Parameters = { new NpgsqlParameter<string> { TypedValue = sku } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new ProductFacts(reader.GetString(0), reader.GetString(1), reader.GetString(2), reader.GetDecimal(3), reader.GetInt32(4), reader.GetInt32(5))
            : null;
    }

    public ValueTask DisposeAsync() => _source.DisposeAsync();
}
