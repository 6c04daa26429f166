using Npgsql;

namespace Tributary.Demo.Agents;

/// <summary>One agent of a fleet and how it ended: a report of one kind, or the reason why there is none.</summary>
public sealed record FleetOutcome(string Agent, AgentReport? Pricing, RogueReport? Rogue, string? Failure);

/// <summary>Many agents at once, each on a branch and with a product of its own, three of them rogues.</summary>
/// <param name="interval">The pause between one agent's arrival and the next; zero for all in the same instant.</param>
public sealed class AgentFleet(IFreshData fresh, IBranches branches, int productionPort, TimeSpan interval, TimeProvider time)
{
    /// <summary>Products worth a look: an excess, at least four prices in their history, the most sold first.</summary>
    /// <param name="connectionString">Production or its replica.</param>
    public static async Task<IReadOnlyList<string>> PickSkusAsync(string connectionString, int count, CancellationToken cancellationToken)
    {
        await using var source = ShopDataSource.CreateUnpooled(connectionString);
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        // The target is a number of days of demand, so it ranks products by what they sell without reading a million lines.
        await using var command = new NpgsqlCommand("""
            SELECT sku FROM products p WHERE stock > target_stock AND (SELECT count(DISTINCT price) FROM price_history h WHERE h.product_id = p.id) >= 4
            ORDER BY target_stock DESC, sku LIMIT $1
            """, connection)
        { Parameters = { new NpgsqlParameter<int> { TypedValue = count } } };
        var skus = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            skus.Add(reader.GetString(0));
        return skus;
    }

    /// <summary>
    /// Runs one agent a SKU side by side, and answers when all have ended. The second, third and fourth are rogues when there are that many.
    /// </summary>
    /// <param name="ended">Called as each agent ends, from any thread.</param>
    public async Task<IReadOnlyList<FleetOutcome>> RunAsync(
        IReadOnlyList<string> skus, Action<FleetOutcome> ended, CancellationToken cancellationToken)
    {
        Misdeed[] misdeeds = skus.Count > Enum.GetValues<Misdeed>().Length ? Enum.GetValues<Misdeed>() : [];
        return await Task.WhenAll(skus.Select(async (sku, index) =>
        {
            var rogue = index >= 1 && index <= misdeeds.Length ? misdeeds[index - 1] : (Misdeed?)null;
            await Task.Delay(interval * index, time, cancellationToken);
            var outcome = await RunOneAsync($"agent-{index + 1}", sku, rogue, cancellationToken);
            ended(outcome);
            return outcome;
        }));
    }

    // One agent's failure is its outcome; the others go on.
    async Task<FleetOutcome> RunOneAsync(string agent, string sku, Misdeed? misdeed, CancellationToken cancellationToken)
    {
        try
        {
            return misdeed is { } deed
                ? new FleetOutcome(agent, null, await new RogueAgent(branches, productionPort, time).RunAsync(agent, deed, cancellationToken), null)
                : new FleetOutcome(agent, await new PricingAgent(fresh, branches, time).RunAsync(new PricingTask(agent, sku, 0.12), cancellationToken), null, null);
        }
        // A connection that its server has closed answers the next command with InvalidOperationException.
        catch (Exception exception) when (exception is BranchException or AgentException or NpgsqlException or InvalidOperationException)
        {
            return new FleetOutcome(agent, null, null, exception.Message);
        }
    }
}
