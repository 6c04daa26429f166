namespace Tributary.Demo;

/// <summary>How large the demonstration is, and how it ends.</summary>
public sealed record DemoOptions
{
    /// <summary>Orders that the shop begins with. Default 350,000.</summary>
    public int Orders { get; init; } = 350_000;

    /// <summary>New orders a second while it runs. Default 50.</summary>
    public double OrdersPerSecond { get; init; } = 50;

    /// <summary>Agents whose branches exist at the same time. Default 50.</summary>
    public int Agents { get; init; } = 50;

    /// <summary>
    /// The pause between one agent's arrival and the next. Default 700 ms: an agent takes some 300 ms of processor time, its Postgres included, so two
    /// cores keep up and each agent's wait is its own, not a queue's. The queue is measured by itself, as the burst.
    /// </summary>
    public TimeSpan AgentInterval { get; init; } = TimeSpan.FromMilliseconds(700);

    /// <summary>The seed of the shop's and the arrivals' chance.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>Ends and cleans up after the closing table, in place of leaving a running system.</summary>
    public bool Exit { get; init; }

    /// <summary>The storage driver: auto, btrfs or copy.</summary>
    public string Driver { get; init; } = "auto";

    /// <summary>Where everything of the demonstration is kept while it runs. Removed at the end.</summary>
    public required string Directory { get; init; }

    /// <exception cref="ArgumentException">A value lies outside its range; the message names it.</exception>
    public void Validate()
    {
        if (OrdersPerSecond is <= 0 or > 500)
            throw new ArgumentException($"--orders-per-second {OrdersPerSecond} is out of range: choose more than 0 and at most 500.");
        if (Agents is < 5 or > 150)
            throw new ArgumentException($"--agents {Agents} is out of range: choose from 5 (three of them are rogues) to 150.");
        if (AgentInterval < TimeSpan.Zero || AgentInterval > TimeSpan.FromMinutes(1))
            throw new ArgumentException("--agent-interval-ms is out of range: choose from 0 to 60000.");
        new Shop.ShopOptions { Orders = Orders, Seed = Seed, Until = DateTimeOffset.UnixEpoch }.Validate();
    }
}
