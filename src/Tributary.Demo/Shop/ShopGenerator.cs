using System.Globalization;
using Npgsql;

namespace Tributary.Demo.Shop;

/// <summary>
/// Fills an empty database with a shop of plausible size and shape, all inside the server. The steps:
/// <list type="number">
/// <item>tables without keys, and the random functions;</item>
/// <item>products, their prices over time, and the expected demand of each product on each day at that day's price;</item>
/// <item>orders of each day, their lines, customers;</item>
/// <item>the shop's tables;</item>
/// <item>keys, indexes, sequences;</item>
/// <item>vacuum and analyze, so that index-only scans work in the first branch;</item>
/// <item>count and measure.</item>
/// </list>
/// </summary>
/// <param name="connectionString">A fresh database in which the user may create tables and temporary objects.</param>
public sealed class ShopGenerator(string connectionString, INarrator narrator, TimeProvider time)
{
    const string Label = "Generating the shop";

    /// <summary>Runs all steps; a failure leaves the database half filled, to be dropped.</summary>
    /// <exception cref="ArgumentException">An option lies outside its range.</exception>
    /// <exception cref="PostgresException">The server refused a statement, for example since the tables exist.</exception>
    public async Task<ShopSummary> GenerateAsync(ShopOptions options, CancellationToken cancellationToken)
    {
        options.Validate();
        var started = time.GetTimestamp();
        await using var source = ShopDataSource.CreateUnpooled(connectionString);
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await ExecuteAsync(connection, SessionSettings, cancellationToken);

        var steps = Steps(options);
        var total = steps.Sum(step => step.Weight);
        var done = 0.0;
        narrator.Progress(Label, 0);
        foreach (var (weight, sql) in steps)
        {
            await ExecuteAsync(connection, sql, cancellationToken);
            done += weight;
            narrator.Progress(Label, Math.Min(1, done / total));
        }

        // Step 7: count and measure.
        return await SummariseAsync(connection, time.GetElapsedTime(started), cancellationToken);
    }

    // Sorts of a million narrow rows fit in this memory; the work is repeatable, so nothing waits for the disk at each commit.
    // One worker for an index build is what a machine of two cores has to spare.
    const string SessionSettings = """
        SET work_mem = '192MB'; SET maintenance_work_mem = '192MB'; SET temp_buffers = '64MB'; SET synchronous_commit = off;
        SET max_parallel_maintenance_workers = 1; SET timezone = 'UTC'; SET jit = off; SET client_min_messages = warning;
        """;

    // Weights are the seconds that a step took at 300,000 orders on two cores; they only shape the progress bar.
    static (double Weight, string Sql)[] Steps(ShopOptions options)
    {
        var demand = new DemandSql(options);
        var orders = new OrdersSql(options, demand);
        return
        [
            // Step 1: tables and functions.
            (0.1, ShopSchema.Tables + demand.Functions),
            // Step 2: products, prices, demand.
            (0.2, demand.Products), (1.5, demand.Demand),
            // Step 3: orders of each day and their lines.
            (0.8, orders.Slots), (3, OrdersSql.Lines),
            // Step 4: the shop's tables.
            (0.5, orders.People), (2, orders.Orders), (1.5, OrdersSql.OrderLines), (0.2, orders.Stock), (2, orders.Movements), (0.5, orders.Returns),
            // Step 5: keys, indexes, sequences.
            (1.5, ShopSchema.PrimaryKeys), (2, ShopSchema.Indexes), (1.5, ShopSchema.ForeignKeys + OrdersSql.Sequences),
            // Step 6: visibility map and statistics.
            (1.5, "VACUUM (ANALYZE)"),
        ];
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    static async Task<ShopSummary> SummariseAsync(NpgsqlConnection connection, TimeSpan elapsed, CancellationToken cancellationToken)
    {
        var rows = new Dictionary<string, long>();
        foreach (var table in ShopSchema.TableNames)
        {
            await using var count = new NpgsqlCommand($"SELECT count(*) FROM {table}", connection);
            rows[table] = (long)(await count.ExecuteScalarAsync(cancellationToken))!;
        }

        await using var size = new NpgsqlCommand("SELECT pg_database_size(current_database())", connection);
        return new ShopSummary(rows, (long)(await size.ExecuteScalarAsync(cancellationToken))!, elapsed);
    }
}

/// <param name="Rows">Rows by table name.</param>
/// <param name="DatabaseBytes">What <c>pg_database_size</c> says.</param>
public sealed record ShopSummary(IReadOnlyDictionary<string, long> Rows, long DatabaseBytes, TimeSpan Elapsed)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Rows["orders"]:N0} orders with {Rows["order_lines"]:N0} lines of {Rows["products"]:N0} products, {DatabaseBytes / 1048576.0:F0} MB, in {Elapsed.TotalSeconds:F1} s");
}
