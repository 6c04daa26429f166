using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Demo.Agents;
using Tributary.Demo.Serving;
using Tributary.Demo.Shop;
using Tributary.Postgres.Programs;

namespace Tributary.Demo;

/// <summary>
/// The main job from beginning to end, on one machine. The steps:
/// <list type="number">
/// <item>a production Postgres with a shop starts, and orders keep arriving;</item>
/// <item>Tributary streams it to a replica;</item>
/// <item>Tributary follows it into the pool, makes a seed and opens the gateway;</item>
/// <item>agent 42 asks the fresh side, tries its hypothesis on a branch of its own and reports;</item>
/// <item>many agents do the like side by side, three of them badly, and production is what it was;</item>
/// <item>the closing table: what this run has measured;</item>
/// <item>a running system is left to try, or everything is removed.</item>
/// </list>
/// </summary>
/// <param name="startServer">Starts a server from a configuration file; disposing the answer stops it.</param>
public sealed class DemoRun(
    DemoOptions options, INarrator narrator, Func<string, CancellationToken, Task<IAsyncDisposable>> startServer, TimeProvider time)
{
    const string Database = "shop";

    /// <summary>How long after the first order agent 42 asks, about: the excess of its product is sized for that moment.</summary>
    static readonly TimeSpan AskedAfter = TimeSpan.FromSeconds(25);

    int OrdersUntilAsked => (int)(AskedAfter.TotalSeconds * options.OrdersPerSecond);

    /// <exception cref="DemoException">A step failed; the message says which and why.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        options.Validate();
        await using var workspace = await DemoWorkspace.OpenAsync(options.Directory, time, cancellationToken);
        if (workspace.CleanedUp)
            narrator.Line("An earlier demonstration was killed; what it had left is removed.");
        var installation = PostgresInstallation.FindNewest();

        // Step 1: production.
        await using var production = await StartProductionAsync(installation, workspace, cancellationToken);
        using var arrivals = new OrderArrivals(
            production.ConnectionString(Database), new OrderArrivalsOptions { OrdersPerSecond = options.OrdersPerSecond, Seed = options.Seed }, time);
        using var stopArrivals = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var arriving = arrivals.RunAsync(stopArrivals.Token);
        try
        {
            narrator.Line($"New orders arrive, {options.OrdersPerSecond:0.#} a second, until the end.");
            await ServeAsync(installation, workspace, production, arrivals, cancellationToken);
        }
        finally
        {
            await stopArrivals.CancelAsync();
            await arriving;
        }
    }

    async Task<PostgresServer> StartProductionAsync(PostgresInstallation installation, DemoWorkspace workspace, CancellationToken cancellationToken)
    {
        narrator.Section("1. A production Postgres with a shop");
        var production = await PostgresServer.CreateAsync(
            installation, workspace.ProductionDirectory,
            ["wal_level = logical", "shared_buffers = 256MB", "max_wal_size = 2GB", "checkpoint_timeout = 5min", "max_connections = 100"], cancellationToken);
        try
        {
            narrator.Line($"PostgreSQL {installation.Major}, a cluster of its own on port {production.Port}, with data checksums and wal_level = logical.");
            await ShopDataSource.CreateDatabaseAsync(production.ConnectionString(), Database, cancellationToken);
            var shop = await new ShopGenerator(production.ConnectionString(Database), narrator, time).GenerateAsync(
                new ShopOptions
                {
                    Orders = options.Orders,
                    Seed = options.Seed,
                    Until = time.GetUtcNow(),
                    OrdersUntilAsked = OrdersUntilAsked,
                },
                cancellationToken);
            narrator.Line($"The shop has {shop.Rows["orders"]:N0} orders with {shop.Rows["order_lines"]:N0} lines; {shop.DatabaseBytes / 1e6:0} MB, made in {shop.Elapsed.TotalSeconds:0.0} s.");
            return production;
        }
        catch
        {
            await production.DisposeAsync();
            throw;
        }
    }

    async Task ServeAsync(
        PostgresInstallation installation, DemoWorkspace workspace, PostgresServer production, OrderArrivals arrivals, CancellationToken cancellationToken)
    {
        await using var replica = await PostgresServer.CreateAsync(
            installation, workspace.ReplicaDirectory, ["shared_buffers = 128MB", "max_wal_size = 2GB", "synchronous_commit = off"], cancellationToken);
        await ShopDataSource.CreateDatabaseAsync(replica.ConnectionString(), Database, cancellationToken);
        await File.WriteAllTextAsync(workspace.ConfigurationFile, Configuration(workspace, production, replica), cancellationToken);

        // Step 2: the stream.
        narrator.Section("2. Tributary streams the shop to a replica");
        await using var server = await startServer(workspace.ConfigurationFile, cancellationToken);
        using var client = new TributaryClient(Path.Combine(workspace.StateDirectory, "tributary.sock"));
        var watch = new ServerWatch(client, narrator, time);
        var streaming = (await watch.StreamAsync(cancellationToken)).Streams[0];
        narrator.Line($"About {streaming.RowsCopied:N0} existing rows in {streaming.TablesCopied} tables are copied, and changes follow.");

        // Step 3: the pool.
        narrator.Section("3. Tributary follows production into its pool");
        var status = await watch.SeedAsync(cancellationToken);
        narrator.Line($"Driver {status.Branching.Driver}; main is at {status.Branching.MainLsn}; the newest seed is at {status.Branching.Seeds[0].Lsn}.");
        narrator.Line($"The gateway listens on {status.Gateway.Host}:{status.Gateway.Port} and speaks the Postgres protocol.");

        await ShowLagAsync(watch, arrivals, cancellationToken);

        await using var fresh = new ReplicaFreshData(replica.ConnectionString(Database), time);
        var branches = new ServerBranches(client);

        // Step 4: one agent.
        var one = await new LoneAgent(narrator, fresh, branches, time).RunAsync(cancellationToken);

        // Step 5: many agents.
        var crowd = await new Crowd(options, narrator, fresh, branches, watch, client, time)
            .RunAsync(production, Database, arrivals, cancellationToken);

        // Step 6: the closing table.
        await new ClosingTable(narrator, watch).ShowAsync(one, crowd, cancellationToken);

        // Step 7: leave it running, or end.
        if (!options.Exit)
            await LeaveRunningAsync(client, workspace, production, cancellationToken);
        narrator.Line("Everything of the demonstration is being removed.");
    }

    async Task ShowLagAsync(ServerWatch watch, OrderArrivals arrivals, CancellationToken cancellationToken)
    {
        narrator.Line("The shop runs for a moment, so that the last hour has something to tell; the lag meanwhile:");
        do
        {
            await Task.Delay(TimeSpan.FromSeconds(2), time, cancellationToken);
            var stream = (await watch.NowAsync(cancellationToken)).Streams[0];
            narrator.Line($"  p50 {stream.LagMsP50:0.0} ms, p99 {stream.LagMsP99:0.0} ms, {stream.LagBytes ?? 0:N0} bytes behind; {stream.TransactionsApplied:N0} transactions with {stream.ChangesApplied:N0} changes applied");
        }
        while (arrivals.Committed < OrdersUntilAsked);
    }

    async Task LeaveRunningAsync(TributaryClient client, DemoWorkspace workspace, PostgresServer production, CancellationToken cancellationToken)
    {
        var branch = await client.CreateBranchAsync(new BranchCreateRequest { Name = "yours" }, cancellationToken);
        narrator.Section("7. It is yours to try");
        if (branch.Succeeded)
        {
            narrator.Line("A branch sleeps until you connect:");
            narrator.Line($"  {branch.Value.Psql}");
        }

        narrator.Line($"  tributary branch create mine -c {workspace.ConfigurationFile}");
        narrator.Line($"  tributary status -c {workspace.ConfigurationFile}");
        narrator.Line($"  psql {production.Url(Database)}   (production)");
        narrator.Line("Ctrl-C ends everything and removes it.");
        await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
    }

    // No start ahead, so that the wakes that are measured begin asleep; three spares, since agents come more quickly than one is made at times.
    string Configuration(DemoWorkspace workspace, PostgresServer production, PostgresServer replica) => $"""
        state: {workspace.StateDirectory}
        source:
          url: {production.Url(Database)}
        streams:
          - name: replica
            target:
              postgres:
                url: {replica.Url(Database)}
        branching:
          driver: {options.Driver}
          pool-size: 32GiB
          seed-interval: 10s
          idle-timeout: 5m
          running-max: {options.Agents * 2 + 20}
          starts-ahead-max: 0
          spares: 3
        gateway:
          listen: 127.0.0.1:0
          connections-max: 1000

        """;
}
