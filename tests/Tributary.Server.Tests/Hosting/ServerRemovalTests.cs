using Tributary.Server.Hosting;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Hosting;

public sealed class ServerRemovalTests
{
    [Fact]
    public async Task Nothing_of_a_stopped_server_stays_on_production_or_here_and_the_copied_rows_do()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.DatabaseAsync("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2)");
        var target = await postgres.DatabaseAsync("SELECT 1");
        var configuration = Production.Configuration(source).WithBranching("removal").WithStream("removal", target);
        await using (var server = await TestServer.StartAsync(configuration))
        {
            var whileItRuns = await ServerRemoval.RunAsync(configuration, localOnly: false, TimeProvider.System, Production.Token);
            Assert.Equal(FailureKind.AlreadyRunning, whileItRuns.Failure!.Kind);
            await Production.UntilAsync(
                async () => (await server.Client.GetStatusAsync(Production.Token)).Value is { Branching.Phase: "following" or "catchingUp", Streams: [{ Phase: "streaming" }] }, "main and the stream");
        }

        Assert.Equal(2, await SlotsAsync(postgres.ConnectionString()));
        // What a large transaction, a stream to standard output that is no more and a repair leave.
        Directory.CreateDirectory(Path.Combine(configuration.StateDirectory, "spool", "removal"));
        await File.WriteAllTextAsync(Path.Combine(configuration.StateDirectory, "spool", "removal", "lock"), "", Production.Token);
        Directory.CreateDirectory(Path.Combine(configuration.StateDirectory, "streams"));
        await File.WriteAllTextAsync(Path.Combine(configuration.StateDirectory, "catalog.db.damaged-1"), "damaged", Production.Token);

        var (removed, failure) = await ServerRemoval.RunAsync(configuration, localOnly: false, TimeProvider.System, Production.Token);

        Assert.Null(failure);
        Assert.Contains(removed!.Removed, thing => thing.StartsWith("slot removal at", StringComparison.Ordinal));
        Assert.Equal(0, await SlotsAsync(postgres.ConnectionString()));
        Assert.Equal(0, await Production.ScalarAsync<long>(source.ToNpgsql(), "SELECT count(*) FROM pg_publication"));
        Assert.Equal(2, await Production.ScalarAsync<long>(target.ToNpgsql(), "SELECT count(*) FROM orders"));
        Assert.False(Directory.Exists(configuration.StateDirectory));
        Assert.False(Production.IsMounted(configuration.StateDirectory));
    }

    [Fact]
    public async Task A_server_without_production_is_removed_without_asking_any()
    {
        var configuration = Production.Configuration(Production.Url("postgresql://nobody@127.0.0.1:1/nothing")) with { Source = null };
        configuration = configuration with
        {
            Branching = new Branching.BranchingOptions { StateDirectory = configuration.StateDirectory, Following = Branching.FollowingMode.None, PoolBytesMax = 4L << 30 },
        };
        await using (var server = await TestServer.StartAsync(configuration))
            await Production.UntilAsync(async () => (await server.Client.GetStatusAsync(Production.Token)).Value is { Branching.Seeds.Count: > 0 }, "the first seed");
        // There is no slot that only the catalog would tell of.
        File.Delete(Path.Combine(configuration.StateDirectory, "catalog.db"));

        var (removed, failure) = await ServerRemoval.RunAsync(configuration, localOnly: false, TimeProvider.System, Production.Token);

        Assert.Null(failure);
        Assert.DoesNotContain(removed!.Removed, thing => thing.StartsWith("slot", StringComparison.Ordinal));
        Assert.False(Directory.Exists(configuration.StateDirectory));
    }

    [Fact]
    public async Task Without_the_catalog_that_tells_of_the_slot_nothing_is_removed_but_what_is_here_when_that_is_asked_for()
    {
        var postgres = await TestServers.SharedAsync();
        var configuration = Production.Configuration(Production.Url(postgres.Url())).WithBranching("removal_lost");
        await using (var server = await TestServer.StartAsync(configuration))
            await Production.UntilAsync(async () => (await server.Client.GetStatusAsync(Production.Token)).Value is { Branching.Seeds.Count: > 0 }, "the first seed");
        File.Delete(Path.Combine(configuration.StateDirectory, "catalog.db"));

        var (_, refused) = await ServerRemoval.RunAsync(configuration, localOnly: false, TimeProvider.System, Production.Token);
        Assert.Contains("removal_lost", refused!.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(configuration.StateDirectory, "pool.img")));
        var (removed, failure) = await ServerRemoval.RunAsync(configuration, localOnly: true, TimeProvider.System, Production.Token);

        Assert.Null(failure);
        Assert.Contains(removed!.Removed, thing => thing.StartsWith("the folder", StringComparison.Ordinal));
        Assert.False(Directory.Exists(configuration.StateDirectory));
        Assert.Equal(1, await Production.ScalarAsync<long>(postgres.ConnectionString(), "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'removal_lost'"));
        await Production.ExecuteAsync(postgres.ConnectionString(), "SELECT pg_drop_replication_slot('removal_lost')");
    }

    [Fact]
    public async Task A_slot_that_another_state_folder_made_is_left_alone()
    {
        var postgres = await TestServers.SharedAsync();
        await Production.ExecuteAsync(postgres.ConnectionString(), "SELECT pg_create_physical_replication_slot('removal_foreign')");
        var configuration = Production.Configuration(Production.Url(postgres.Url())).WithBranching("removal_foreign");
        Directory.CreateDirectory(configuration.StateDirectory);

        var (_, failure) = await ServerRemoval.RunAsync(configuration, localOnly: false, TimeProvider.System, Production.Token);

        Assert.Null(failure);
        Assert.Equal(1, await Production.ScalarAsync<long>(postgres.ConnectionString(), "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'removal_foreign'"));
    }

    static Task<long> SlotsAsync(string connectionString) =>
        Production.ScalarAsync<long>(connectionString, "SELECT count(*) FROM pg_replication_slots WHERE slot_name IN ('removal', 'tributary_removal')");
}
