using Npgsql;
using NpgsqlTypes;

namespace Tributary.Demo.Shop;

/// <summary>How new orders arrive.</summary>
public sealed record OrderArrivalsOptions
{
    /// <summary>Default 50. Above 0; beyond a few hundred one connection's round trips are the limit.</summary>
    public double OrdersPerSecond { get; init; } = 50;

    /// <summary>Default 7.</summary>
    public int Seed { get; init; } = 7;

    /// <summary>
    /// How far behind the schedule arrivals may fall and still catch up. What is older is skipped, so that a stall of the server is followed
    /// by a short burst at full speed and not by a long one. Default 2 s: 100 orders at the default rate.
    /// </summary>
    public TimeSpan CatchUpMax { get; init; } = TimeSpan.FromSeconds(2);
}

/// <summary>
/// New orders that keep arriving at production: one transaction an order, with its lines, the stock movements and the decrement of the stock,
/// sent as one pipelined batch. Products are drawn by what the last four weeks sold (a Zipf tail) and, within a day, by what sells at this hour;
/// a product that runs out is restocked in the same transaction, so that stock never falls below zero and always is the sum of its movements.
/// </summary>
/// <remarks>
/// One loop writes, on one connection. <see cref="Committed"/> counts transactions whose commit the server has confirmed: a statement is never
/// cancelled half way, so the count is exact whenever the loop is paused or has ended in order.
/// </remarks>
public sealed class OrderArrivals(string connectionString, OrderArrivalsOptions options, TimeProvider time) : IDisposable
{
    readonly SemaphoreSlim _turn = new(1, 1);
    long _committed;

    /// <summary>Orders committed so far.</summary>
    public long Committed => Interlocked.Read(ref _committed);

    /// <summary>
    /// Inserts until cancelled, then returns. The first order is due one interval after the call.
    /// </summary>
    /// <exception cref="NpgsqlException">The link to production is lost; the outcome of the last order is then unknown.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.OrdersPerSecond);
        try
        {
            // The batch's four statements repeat for ever, so the server parses and plans them once.
            var prepared = new NpgsqlConnectionStringBuilder(connectionString) { MaxAutoPrepare = 8, AutoPrepareMinUsages = 2 };
            await using var source = ShopDataSource.CreateUnpooled(prepared.ConnectionString);
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            var basket = await BasketDraw.LoadAsync(connection, options.Seed, cancellationToken);
            await PaceAsync(connection, basket, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Cancelling is how arrivals end.
        }
    }

    /// <summary>Holds arrivals between two transactions until the result is disposed; keep it for moments only.</summary>
    public async Task<IDisposable> PauseAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        return new Pause(_turn);
    }

    /// <summary>To be called after <see cref="RunAsync"/> has returned.</summary>
    public void Dispose() => _turn.Dispose();

    // The due time of order n is start + n × interval, so that the duration of a transaction or of a timer tick never adds up to a drift.
    async Task PaceAsync(NpgsqlConnection connection, BasketDraw basket, CancellationToken cancellationToken)
    {
        var interval = TimeSpan.FromSeconds(1 / options.OrdersPerSecond);
        var due = interval;
        var start = time.GetTimestamp();
        while (true)
        {
            var elapsed = time.GetElapsedTime(start);
            if (due > elapsed)
                await Task.Delay(due - elapsed, time, cancellationToken);
            else if (elapsed - due > options.CatchUpMax)
                due = elapsed - options.CatchUpMax;

            await _turn.WaitAsync(cancellationToken);
            try
            {
                await InsertAsync(connection, basket.Next());
                Interlocked.Increment(ref _committed);
            }
            finally
            {
                _turn.Release();
            }

            due += interval;
        }
    }

    // currval is volatile: bare in a WHERE it is computed for every row of the table, in a sub-select once, and the index serves.
    // A batch without BEGIN is one implicit transaction, since the driver sends one Sync at its end:
    // https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
    static async Task InsertAsync(NpgsqlConnection connection, Basket basket)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            INSERT INTO orders (customer_id, created_at, status, total, payment_reference, ship_to, client)
            SELECT c.id, clock_timestamp(), 'paid', (SELECT sum(p.price * l.quantity) FROM unnest($2, $3) AS l(product_id, quantity) JOIN products p ON p.id = l.product_id),
                   $4, c.address, 'ShopApp/7.2 (iPhone; iOS 17.5; Scale/3.00)'
            FROM customers c WHERE c.id = $1
            """)
        { Parameters = { Of(basket.CustomerId), Of(basket.Products), Of(basket.Quantities), new NpgsqlParameter<string> { TypedValue = basket.PaymentReference } } });
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            INSERT INTO order_lines (order_id, line_no, product_id, quantity, unit_price, ordered_at)
            SELECT o.id, l.line_no, l.product_id, l.quantity, p.price, o.created_at
            FROM orders o, unnest($1, $2) WITH ORDINALITY AS l(product_id, quantity, line_no) JOIN products p ON p.id = l.product_id
            WHERE o.id = (SELECT currval('orders_id_seq'))
            """)
        { Parameters = { Of(basket.Products), Of(basket.Quantities) } });
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            INSERT INTO stock_movements (product_id, order_id, quantity, reason, moved_at)
            SELECT l.product_id, (SELECT currval('orders_id_seq')), -l.quantity, 'sale', clock_timestamp() FROM unnest($1, $2) AS l(product_id, quantity)
            UNION ALL
            SELECT p.id, NULL, p.target_stock + l.quantity, 'receipt', clock_timestamp()
            FROM unnest($1, $2) AS l(product_id, quantity) JOIN products p ON p.id = l.product_id WHERE p.stock < l.quantity
            """)
        { Parameters = { Of(basket.Products), Of(basket.Quantities) } });
        batch.BatchCommands.Add(new NpgsqlBatchCommand("""
            UPDATE products p SET stock = CASE WHEN p.stock < l.quantity THEN p.stock + p.target_stock ELSE p.stock - l.quantity END
            FROM unnest($1, $2) AS l(product_id, quantity) WHERE p.id = l.product_id
            """)
        { Parameters = { Of(basket.Products), Of(basket.Quantities) } });
        await batch.ExecuteNonQueryAsync(CancellationToken.None);
    }

    static NpgsqlParameter<long> Of(long value) => new() { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Bigint };

    static NpgsqlParameter<int[]> Of(int[] values) => new() { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Integer };

    sealed class Pause(SemaphoreSlim turn) : IDisposable
    {
        SemaphoreSlim? _turn = turn;

        public void Dispose() => Interlocked.Exchange(ref _turn, null)?.Release();
    }
}
