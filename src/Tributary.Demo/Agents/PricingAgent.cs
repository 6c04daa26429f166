using System.Globalization;
using Npgsql;

namespace Tributary.Demo.Agents;

/// <summary>What an agent is told to examine.</summary>
/// <param name="Name">Names the agent and, in lower case, its branch; letters, digits and dashes.</param>
/// <param name="Discount">As a share: 0.12 is twelve percent off.</param>
public sealed record PricingTask(string Name, string Sku, double Discount);

/// <summary>What a pricing agent found.</summary>
/// <param name="DataAge">How old the newest order in the branch was when the first row arrived; null without orders.</param>
public sealed record AgentReport(
    PricingTask Task, BestSellers BestSellers, string Hypothesis, Forecast Forecast, string Recommendation, AgentTimings Timings, TimeSpan? DataAge);

/// <summary>
/// An agent that examines a price. The steps:
/// <list type="number">
/// <item>ask the fresh side what sells, and for the product;</item>
/// <item>form the hypothesis;</item>
/// <item>create a branch and enter it;</item>
/// <item>read the demand history and forecast the present price;</item>
/// <item>change the price in a transaction, in the branch;</item>
/// <item>forecast the price that the branch now holds;</item>
/// <item>delete the branch, whatever happened, and report.</item>
/// </list>
/// </summary>
public sealed class PricingAgent(IFreshData fresh, IBranches branches, TimeProvider time)
{
    const int BestSellersAsked = 10;

    /// <exception cref="AgentException">The SKU is unknown, or the shop has no history to forecast from.</exception>
    /// <exception cref="BranchException">The branch could not be created or deleted.</exception>
    /// <exception cref="NpgsqlException">The fresh side or the branch could not be reached, or refused a statement.</exception>
    public async Task<AgentReport> RunAsync(PricingTask task, CancellationToken cancellationToken)
    {
        if (task.Discount is <= 0 or >= 0.9)
            throw new ArgumentException($"A discount of {task.Discount:P0} makes no sense: choose more than 0 % and less than 90 %.");
        var started = time.GetTimestamp();

        // Step 1: ask the fresh side.
        var sellers = await fresh.BestSellersAsync(BestSellersAsked, cancellationToken);
        var product = await fresh.FindProductAsync(task.Sku, cancellationToken)
            ?? throw new AgentException($"{task.Name}: the product {task.Sku} is not in the shop.");

        // Step 2: form the hypothesis.
        var hypothesis = Hypothesis(task, product, sellers, ComingFriday.EndAfter(time.GetUtcNow()));

        // Steps 3 to 6 happen on the branch; leaving it deletes it.
        var (forecast, stay) = await new BranchVisit(branches, time).RunAsync(
            task.Name.ToLowerInvariant(), async stay => (await ExamineAsync(stay.Connection, task, cancellationToken), stay), cancellationToken);

        // Step 7: report.
        return new AgentReport(
            task, sellers, hypothesis, forecast, forecast.InWords(), new AgentTimings(stay.Create, stay.FirstRow, time.GetElapsedTime(started)), stay.DataAge);
    }

    async Task<Forecast> ExamineAsync(NpgsqlConnection connection, PricingTask task, CancellationToken cancellationToken)
    {
        // Step 4: history and present price.
        var now = time.GetUtcNow();
        var history = await DemandHistoryReader.ReadAsync(connection, task.Sku, now, cancellationToken)
            ?? throw new AgentException($"{task.Name}: {task.Sku} has no whole day of history in the branch to forecast from.");
        var model = new ForecastModel(history, now);
        var baseline = model.At(history.Product.Price, history.Product);

        // Step 5: change the price.
        await ChangePriceAsync(connection, history.Product.Id, task.Discount, cancellationToken);

        // Step 6: the price that the branch holds now.
        var after = await DemandHistoryReader.ReadProductAsync(connection, task.Sku, cancellationToken)
            ?? throw new AgentException($"{task.Name}: {task.Sku} vanished from its branch.");
        return new Forecast(
            task.Sku, after.Name, after.Stock, after.TargetStock, model.Friday, model.Elasticity, model.OwnElasticity, model.CategoryElasticity,
            model.ExpectedOrders, baseline, model.At(after.Price, after));
    }

    static async Task ChangePriceAsync(NpgsqlConnection connection, int productId, double discount, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.BatchCommands.Add(new NpgsqlBatchCommand(
            "UPDATE products SET price = greatest(round(price * (1 - $2), 2), 0.01), updated_at = now() WHERE id = $1")
        { Parameters = { new NpgsqlParameter<int> { TypedValue = productId }, new NpgsqlParameter<decimal> { TypedValue = (decimal)discount } } });
        batch.BatchCommands.Add(new NpgsqlBatchCommand(
            "INSERT INTO price_history (product_id, price, valid_from, reason) SELECT id, price, now(), 'hypothesis' FROM products WHERE id = $1")
        { Parameters = { new NpgsqlParameter<int> { TypedValue = productId } } });
        await batch.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    static string Hypothesis(PricingTask task, ProductFacts product, BestSellers sellers, DateTimeOffset friday)
    {
        var rank = sellers.Items.Select((item, index) => (item, index)).FirstOrDefault(entry => entry.item.Sku == task.Sku, (null!, -1)).index;
        var place = rank >= 0 ? $"it is number {rank + 1} of the last hour's best sellers" : "it is not among the last hour's best sellers";
        return string.Create(CultureInfo.InvariantCulture,
            $"{product.Sku} ({product.Name}) has {product.Stock:N0} in stock, {product.Excess:N0} more than the shop wants to hold, and {place}. {task.Discount:P0} off its price of {product.Price:F2} clears the excess by the end of Friday {friday.AddDays(-1):d MMMM}.");
    }
}

/// <summary>An agent cannot do its task; the message says which agent and why.</summary>
public sealed class AgentException(string message) : Exception(message);
