using Npgsql;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Server.Hosting;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Hosting;

/// <summary>Branches of a main that production is streamed into.</summary>
public sealed class LogicalFollowingTests
{
    const string Shop =
        """
        CREATE TABLE items (id int PRIMARY KEY, price numeric NOT NULL);
        INSERT INTO items SELECT i, i FROM generate_series(1, 2000) i;
        CREATE INDEX items_price ON items (price);
        """;

    [Theory]
    [InlineData(0, 0)]
    [InlineData(13, 18)]
    [InlineData(18, 16)]
    public async Task A_branch_as_of_now_holds_what_production_acknowledged_and_its_schema_and_nothing_of_the_stream(int production, int main)
    {
        var postgres = production == 0 ? await TestServers.SharedAsync() : await TestServers.ForMajorAsync(production);
        var source = await postgres.DatabaseAsync(Shop);
        await using var server = await StartAsync(source, main == 0 ? null : main);
        await Production.ExecuteAsync(source.ToNpgsql(), "ALTER TABLE items ADD COLUMN name text; UPDATE items SET price = 0, name = 'new' WHERE id = 7");

        var first = await CreateAsync(server, "first");
        await Production.ExecuteAsync(source.ToNpgsql(), "DELETE FROM items WHERE id > 1000");
        var second = await CreateAsync(server, "second");

        Assert.Equal(2000L, await AskAsync<long>(first, "SELECT count(*) FROM items"));
        Assert.Equal(0m, await AskAsync<decimal>(first, "SELECT price FROM items WHERE id = 7 AND name = 'new'"));
        Assert.Equal(1000L, await AskAsync<long>(second, "SELECT count(*) FROM items"));
        Assert.Equal(0L, await AskAsync<long>(second, "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'tributary') + (SELECT count(*) FROM pg_replication_origin) + (SELECT count(*) FROM pg_publication)"));
        Assert.Equal(main == 0 ? TestServers.Newest.Major : main, await AskAsync<int>(first, "SELECT current_setting('server_version_num')::int / 10000"));
        Assert.Equal(999L, await AskAsync<long>(second, "WITH gone AS (DELETE FROM items WHERE id = 1 RETURNING 1) SELECT (SELECT count(*) FROM items) - (SELECT count(*) FROM gone)"));
        Assert.InRange(second.DataTime, first.DataTime, TimeProvider.System.GetUtcNow());
        Assert.Equal(1000L, await Production.ScalarAsync<long>(source.ToNpgsql(), "SELECT count(*) FROM items"));
    }

    [Fact]
    public async Task Every_branch_holds_the_transfer_acknowledged_just_before_its_request_and_no_half_of_one()
    {
        var source = await (await TestServers.SharedAsync()).DatabaseAsync("CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL); INSERT INTO accounts VALUES (1, 1000), (2, 1000); CREATE TABLE transfers (n int PRIMARY KEY)");
        await using var server = await StartAsync(source);
        using var stop = new CancellationTokenSource();
        var acknowledged = 0;
        var transfers = Task.Run(async () =>
        {
            await using var connection = new NpgsqlConnection(source.ToNpgsql() + ";Pooling=false");
            await connection.OpenAsync(Production.Token);
            for (var n = 1; !stop.IsCancellationRequested; n++)
            {
                await using var transfer = new NpgsqlCommand($"UPDATE accounts SET balance = balance - 1 WHERE id = 1; UPDATE accounts SET balance = balance + 1 WHERE id = 2; INSERT INTO transfers VALUES ({n})", connection);
                await transfer.ExecuteNonQueryAsync(Production.Token);
                Volatile.Write(ref acknowledged, n);
            }
        }, Production.Token);
        try
        {
            for (var round = 0; round < 4; round++)
            {
                var before = Volatile.Read(ref acknowledged);
                var made = await Task.WhenAll(CreateAsync(server, $"bank-{round}-a"), CreateAsync(server, $"bank-{round}-b"));
                foreach (var branch in made)
                {
                    Assert.Equal(2000L, await AskAsync<long>(branch, "SELECT sum(balance) FROM accounts"));
                    Assert.InRange(await AskAsync<int>(branch, "SELECT coalesce(max(n), 0) FROM transfers"), before, int.MaxValue);
                    Assert.Equal(0L, await AskAsync<long>(branch, "SELECT (SELECT count(*) FROM transfers) + 1000 - balance FROM accounts WHERE id = 2"));
                }
            }
        }
        finally
        {
            await stop.CancelAsync();
            await transfers;
        }
    }

    [Fact]
    public async Task After_a_restart_it_goes_on_where_it_was()
    {
        var source = await (await TestServers.SharedAsync()).DatabaseAsync(Shop);
        await using var first = await StartAsync(source);
        var old = await CreateAsync(first, "old");
        await first.DisposeAsync();
        await Production.ExecuteAsync(source.ToNpgsql(), "INSERT INTO items VALUES (5000, 1)");

        await using var second = await TestServer.StartAsync(first.Configuration);
        await ServesAsync(second);
        var made = await CreateAsync(second, "made");

        Assert.Equal(2001L, await AskAsync<long>(made, "SELECT count(*) FROM items"));
        Assert.Equal(2000L, await AskAsync<long>((await second.Client.GetBranchAsync(old.Name, Production.Token)).Value!, "SELECT count(*) FROM items"));
        Assert.Equal(0, (await second.Client.GetStatusAsync(Production.Token)).Value!.Streams[0].RowsCopied);
    }

    [Fact]
    public async Task When_production_has_not_kept_what_comes_next_main_is_copied_anew_and_branches_stay()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.DatabaseAsync(Shop);
        await using var server = await StartAsync(source);
        var old = await CreateAsync(server, "old");
        var slot = server.Configuration.Branching!.SlotName;

        await Production.ExecuteAsync(postgres.ConnectionString(), $"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{slot}'");
        await Production.UntilAsync(async () =>
        {
            try
            {
                await Production.ExecuteAsync(postgres.ConnectionString(), $"SELECT pg_terminate_backend(active_pid), pg_drop_replication_slot('{slot}') FROM pg_replication_slots WHERE slot_name = '{slot}'");
                return true;
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.ObjectInUse)
            {
                return false;
            }
        }, "the slot to be dropped");
        await Production.ExecuteAsync(source.ToNpgsql(), "INSERT INTO items VALUES (5000, 1)");

        await Production.UntilAsync(async () => (await server.Client.GetStatusAsync(Production.Token)).Value is { Branching.Phase: not "following" }, "main to be given up");
        await ServesAsync(server);
        Assert.Equal(2001L, await AskAsync<long>(await CreateAsync(server, "anew"), "SELECT count(*) FROM items"));
        Assert.Equal(2000L, await AskAsync<long>(old, "SELECT count(*) FROM items"));
    }

    [Fact]
    public async Task Nothing_of_it_stays_on_production_when_it_is_removed()
    {
        var source = await (await TestServers.SharedAsync()).DatabaseAsync(Shop);
        TributaryConfiguration configuration;
        await using (var server = await StartAsync(source))
            configuration = server.Configuration;

        var (removed, failure) = await ServerRemoval.RunAsync(configuration, localOnly: false, TimeProvider.System, Production.Token);

        Assert.Null(failure);
        Assert.Contains(removed!.Removed, thing => thing.StartsWith($"slot and publication {configuration.Branching!.SlotName} at", StringComparison.Ordinal));
        Assert.Equal(0L, await Production.ScalarAsync<long>(
            source.ToNpgsql(),
            $"SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_event_trigger) + (SELECT count(*) FROM pg_namespace WHERE nspname = 'tributary') + (SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{configuration.Branching!.SlotName}')"));
        Assert.False(Directory.Exists(configuration.StateDirectory));
    }

    [Fact]
    public async Task Policies_that_name_roles_are_in_a_branch_and_no_role_of_productions_logs_in()
    {
        var postgres = await TestServers.SharedAsync();
        var role = $"reader_{Guid.NewGuid():N}"[..20];
        var source = await postgres.DatabaseAsync($"CREATE ROLE {role} LOGIN PASSWORD 'known'; {Shop} ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON items FOR SELECT TO {role} USING (id < 10)");
        await using var server = await StartAsync(source);

        var branch = await CreateAsync(server, "policies");

        Assert.Equal(9L, await AskAsync<long>(branch, $"GRANT SELECT ON items TO {role}; SET ROLE {role}; SELECT count(*) FROM items"));
        Assert.Equal("f", await AskAsync<string>(branch, $"SELECT (rolcanlogin OR rolpassword IS NOT NULL)::text::char(1)::text FROM pg_authid WHERE rolname = '{role}'"));
    }

    [Fact]
    public async Task What_productions_schema_runs_in_main_reaches_nothing_of_this_machine()
    {
        var planted = Path.Combine(TestFolder.New("planted"), "file");
        // Main is entered by its Unix socket alone, which is how the function knows where it runs.
        var source = await (await TestServers.SharedAsync()).DatabaseAsync(
            $"""
            CREATE SEQUENCE reached;
            CREATE FUNCTION reach(id int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
                IF inet_server_port() IS NULL THEN
                    PERFORM nextval('public.reached');
                    BEGIN
                        COPY (SELECT 1) TO PROGRAM 'touch {planted}';
                    EXCEPTION WHEN OTHERS THEN
                        NULL;
                    END;
                END IF;
                RETURN id;
            END $$;
            CREATE TABLE traps (id int PRIMARY KEY CHECK (reach(id) = id));
            INSERT INTO traps VALUES (1);
            """);
        await using var server = await StartAsync(source);
        await Production.ExecuteAsync(source.ToNpgsql(), "INSERT INTO traps VALUES (2), (3)");

        var branch = await CreateAsync(server, "trapped");

        Assert.Equal(3L, await AskAsync<long>(branch, "SELECT count(*) FROM traps"));
        Assert.True(await AskAsync<long>(branch, "SELECT last_value FROM reached") > 1);
        Assert.False(File.Exists(planted));
    }

    [Fact]
    public async Task A_production_that_would_refuse_writes_to_a_table_without_a_key_is_left_as_it_is()
    {
        var source = await (await TestServers.SharedAsync()).DatabaseAsync("CREATE TABLE keyless (x int); INSERT INTO keyless VALUES (1)");
        var configuration = Production.Configuration(source).WithBranching($"keyless_{Guid.NewGuid():N}"[..24]);

        var failure = await TestServer.FailAsync(configuration with { Branching = configuration.Branching! with { Following = FollowingMode.Logical } });

        Assert.Equal(FailureKind.SourceUnsuitable, failure.Kind);
        Assert.Contains("tables without a replica identity: \"public\".\"keyless\"", failure.Message, StringComparison.Ordinal);
        Assert.Contains("REPLICA IDENTITY FULL", failure.Hint, StringComparison.Ordinal);
        await Production.ExecuteAsync(source.ToNpgsql(), "UPDATE keyless SET x = 2");
    }

    [Fact]
    public async Task Another_way_to_follow_is_refused_on_its_state_folder()
    {
        var source = await (await TestServers.SharedAsync()).DatabaseAsync(Shop);
        TributaryConfiguration configuration;
        await using (var server = await StartAsync(source))
            configuration = server.Configuration;

        var failure = await TestServer.FailAsync(configuration with { Branching = configuration.Branching! with { Following = FollowingMode.Physical } });

        Assert.Equal(FailureKind.Configuration, failure.Kind);
        Assert.Contains("a Postgres that production is streamed into (branching.following: logical) and cannot become a standby", failure.Message, StringComparison.Ordinal);
        await ServerRemoval.RunAsync(configuration, localOnly: false, TimeProvider.System, Production.Token);
    }

    static async Task<TestServer> StartAsync(PostgresUrl source, int? major = null)
    {
        if (major is { } wanted)
            TestServers.Installation(wanted);
        var configuration = Production.Configuration(source).WithBranching($"logical_{Guid.NewGuid():N}"[..24]);
        var server = await TestServer.StartAsync(configuration with
        {
            Branching = configuration.Branching! with { Following = FollowingMode.Logical, OwnMajor = major ?? TestServers.Newest.Major },
        });
        await ServesAsync(server);
        return server;
    }

    static async Task ServesAsync(TestServer server)
    {
        StatusResponse? status = null;
        try
        {
            await Production.UntilAsync(
                async () => (status = (await server.Client.GetStatusAsync(Production.Token)).Value) is { Branching: { Phase: "following", Seeds.Count: > 0, SparesReady: > 0 } }, "main to follow");
        }
        catch (Xunit.Sdk.XunitException exception)
        {
            throw new InvalidOperationException($"{exception.Message}: {status?.Branching}", exception);
        }
    }

    static async Task<BranchResponse> CreateAsync(TestServer server, string name)
    {
        var made = await server.Client.CreateBranchAsync(new BranchCreateRequest { Name = name }, Production.Token);
        return made.Value ?? throw new InvalidOperationException($"{made.Problem!.Detail} {(await server.Client.GetStatusAsync(Production.Token)).Value!.Branching}");
    }

    static Task<T> AskAsync<T>(BranchResponse branch, string sql) => Production.ScalarAsync<T>(branch.ConnectionString(), sql);
}
