using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Npgsql;
using Tributary.Cli.Tests.Support;
using Tributary.Postgres;
using Tributary.Testing;

namespace Tributary.Cli.Tests;

/// <summary>One <c>tributary up</c> with branches, ready for the first one.</summary>
public sealed class ServerFixture : IAsyncLifetime
{
    internal RunningServer Server { get; private set; } = null!;

    public string SourceUrl { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        var postgres = await TestServers.SharedAsync();
        SourceUrl = postgres.Url(new NpgsqlConnectionStringBuilder(await postgres.NewDatabaseAsync()).Database!);
        Server = await RunningServer.StartAsync(SourceUrl, "cli_server");
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using var status = JsonDocument.Parse((await Server.AskAsync("status", "-o", "json")).StandardOutput);
            if (status.RootElement.GetProperty("branching").GetProperty("seeds").GetArrayLength() > 0)
                return;
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(60), $"no seed: {status.RootElement}");
        }
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}

public sealed class ServerCommandTests(ServerFixture fixture) : IClassFixture<ServerFixture>
{
    [Fact]
    public async Task A_branch_is_entered_with_psql_whose_output_and_exit_code_are_its_own()
    {
        await fixture.Server.AskAsync("branch", "create", "enter");

        var good = await ConnectAsync("enter", "-Atc", "SELECT 1");
        var bad = await ConnectAsync("enter", "-v", "ON_ERROR_STOP=1", "-c", "SELECT nothing", "-c", "SELECT 1");

        Assert.Equal((0, "1\n", ""), (good.ExitCode, good.StandardOutput, good.StandardError));
        Assert.Equal(1, bad.ExitCode);
        Assert.Contains("column \"nothing\" does not exist", bad.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_branch_has_the_same_shape_wherever_it_is_shown_as_json()
    {
        using var made = JsonDocument.Parse((await fixture.Server.AskAsync("branch", "create", "shape", "--from-seed", "-o", "json")).StandardOutput);
        using var shown = JsonDocument.Parse((await fixture.Server.AskAsync("branch", "get", "shape", "-o", "json")).StandardOutput);
        using var list = JsonDocument.Parse((await fixture.Server.AskAsync("branch", "list", "-o", "json")).StandardOutput);
        using var deleted = JsonDocument.Parse((await fixture.Server.AskAsync("branch", "delete", "shape", "-o", "json")).StandardOutput);

        string[] common =
        [
            "id", "name", "state", "compute", "lsn", "dataTime", "dataAgeMs", "createdAt", "origin", "seedId", "labels", "folder", "protected", "durability",
            "settings", "birthKept", "runSeconds", "cpuSeconds", "connectionsTotal", "connections",
        ];
        string[] way = ["host", "port", "user", "database", "url", "psql"];
        Assert.Equal([.. common, .. way, "createMs"], Keys(made.RootElement));
        Assert.Equal([.. common, "exclusiveBytes", "totalBytes", .. way], Keys(shown.RootElement));
        Assert.Equal(Keys(shown.RootElement), Keys(list.RootElement.GetProperty("branches").EnumerateArray().First(branch => branch.GetProperty("name").GetString() == "shape")));
        Assert.Equal([.. common, "deletedAt", .. way], Keys(deleted.RootElement).OrderBy(key => Array.IndexOf([.. common, "deletedAt", .. way], key)));
    }

    [Fact]
    public async Task A_branch_of_a_position_in_the_past_holds_what_was_there_and_one_outside_the_archive_is_told_what_it_has()
    {
        Assert.True(PostgresUrl.TryParse(fixture.SourceUrl, out var source, out _));
        await using var production = NpgsqlDataSource.Create(source.ToNpgsql());
        var started = TimeProvider.System.GetTimestamp();
        while (!(await fixture.Server.AskAsync("status", "-o", "json")).StandardOutput.Contains("\"pastSince\"", StringComparison.Ordinal))
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(60), "no archive");
        await AskAsync("CREATE TABLE prices AS SELECT 100 AS price");
        var before = (string)(await AskAsync("SELECT pg_current_wal_insert_lsn()::text"))!;
        await AskAsync("UPDATE prices SET price = 88");

        var made = await fixture.Server.AskAsync("branch", "create", "before-the-change", "--at", before);
        var price = await ConnectAsync("before-the-change", "-Atc", "SELECT price FROM prices");
        var refused = await fixture.Server.AskAsync("branch", "create", "long-ago", "--at", "2020-01-01T00:00:00Z");

        Assert.True(made.ExitCode == 0, made.StandardError);
        Assert.Contains("a moment of production's past", made.StandardOutput, StringComparison.Ordinal);
        Assert.Equal("100\n", price.StandardOutput);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("which reaches from", refused.StandardError, StringComparison.Ordinal);

        async Task<object?> AskAsync(string sql)
        {
            await using var command = production.CreateCommand(sql);
            return await command.ExecuteScalarAsync(TributaryProgram.Token);
        }
    }

    [Fact]
    public async Task A_branch_is_forked_changed_reset_deleted_and_restored_by_commands()
    {
        await fixture.Server.AskAsync("branch", "create", "stem", "--from-seed", "--owner", "ann", "--label", "team=pricing", "--ttl", "8h", "--set", "work_mem=8MB");
        var fork = await fixture.Server.AskAsync("branch", "create", "twig", "--from", "stem", "--protect");
        var tree = await fixture.Server.AskAsync("branch", "tree");
        var refused = await fixture.Server.AskAsync("branch", "delete", "twig");
        await fixture.Server.AskAsync("branch", "unprotect", "twig");
        var reset = await fixture.Server.AskAsync("branch", "reset", "twig", "--to", "birth");
        await fixture.Server.AskAsync("branch", "set", "stem", "--label", "team=", "--label", "case=7", "--ttl", "0s");
        await fixture.Server.AskAsync("branch", "rename", "stem", "trunk");
        using var shown = JsonDocument.Parse((await fixture.Server.AskAsync("branch", "get", "trunk", "-o", "json")).StandardOutput);
        var ofAnn = await fixture.Server.AskAsync("branch", "list", "--owner", "ann", "--label", "case=7");
        var deleted = await fixture.Server.AskAsync("branch", "delete", "trunk");
        var gone = await fixture.Server.AskAsync("branch", "list", "--deleted");
        var restored = await fixture.Server.AskAsync("branch", "restore", "trunk", "--as", "again");
        var wrong = await fixture.Server.AskAsync("branch", "create", "bad", "--ttl", "soon");

        Assert.Equal(0, fork.ExitCode);
        Assert.Matches(@"stem  [0-9A-F]+/[0-9A-F]+, .*Z\n(│  |   )└─ twig  protected", tree.StandardOutput);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("tributary branch unprotect twig", refused.StandardError, StringComparison.Ordinal);
        Assert.Equal((0, ""), (reset.ExitCode, reset.StandardError));
        Assert.Equal("""{"case":"7"}""", shown.RootElement.GetProperty("labels").GetRawText().Replace("\n", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal));
        Assert.False(shown.RootElement.TryGetProperty("expiresAt", out _));
        Assert.Contains("trunk", ofAnn.StandardOutput, StringComparison.Ordinal);
        Assert.DoesNotContain("twig", ofAnn.StandardOutput, StringComparison.Ordinal);
        Assert.Contains("tributary branch restore trunk", deleted.StandardOutput, StringComparison.Ordinal);
        Assert.Contains("trunk", gone.StandardOutput, StringComparison.Ordinal);
        Assert.Equal((0, ""), (restored.ExitCode, restored.StandardError));
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("'soon' is not a time", wrong.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refusals_have_their_exit_codes()
    {
        await fixture.Server.AskAsync("branch", "create", "agent-41");

        var unknown = await fixture.Server.AskAsync("branch", "get", "agent-42");
        var invalid = await fixture.Server.AskAsync("branch", "create", "Agent_42");
        var twice = await fixture.Server.AskAsync("branch", "create", "agent-41");
        var connect = await ConnectAsync("agent-42", "-c", "SELECT 1");

        Assert.Equal((4, 2, 9, 4), (unknown.ExitCode, invalid.ExitCode, twice.ExitCode, connect.ExitCode));
        Assert.Contains("error: There is no branch 'agent-42'. Did you mean agent-41?", unknown.StandardError, StringComparison.Ordinal);
        Assert.Contains("use lower-case letters, digits and hyphens", invalid.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_of_branches_are_completed()
    {
        await fixture.Server.AskAsync("branch", "create", "complete-me");
        const string Line = "tributary branch delete comp";

        var suggested = await TributaryProgram.RunInAsync(TributaryProgram.EmptyFolder, new Dictionary<string, string> { ["TRIBUTARY_SOCKET"] = fixture.Server.Socket }, $"[suggest:{Line.Length}]", Line);

        Assert.Equal("complete-me\n", suggested.StandardOutput);
    }

    [Fact]
    public async Task A_second_server_on_the_state_folder_is_refused()
    {
        var second = await TributaryProgram.RunAsync("up", "--source", fixture.SourceUrl, "--state", fixture.Server.State, "--listen", "127.0.0.1:0");

        Assert.Equal(11, second.ExitCode);
        Assert.Contains("another tributary runs on the state folder", second.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_is_one_message_and_leaves_nothing()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var state = Path.Combine(TestFolder.New("up"), "state");

        var up = await TributaryProgram.RunAsync("up", "--source", fixture.SourceUrl, "--state", state, "--listen", $"{taken.LocalEndpoint}", "--log-level", "warning");

        Assert.Equal(7, up.ExitCode);
        Assert.Equal("error: hint: ", string.Concat(up.StandardError.Trim().Split('\n').Select(line => line[..(line.IndexOf(' ', StringComparison.Ordinal) + 1)])));
        Assert.Contains("gateway.listen", up.StandardError, StringComparison.Ordinal);
        Assert.False(Directory.Exists(state));
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task A_signal_stops_the_server_with_everything_of_it(string signal)
    {
        await using var server = await RunningServer.StartAsync(fixture.SourceUrl, $"cli_{signal.ToLowerInvariant()}");
        Assert.Equal(0, (await server.AskAsync("status")).ExitCode);

        var (code, log) = await server.StopAsync(signal);

        Assert.True(code == 0, log);
        Assert.Contains("Tributary has stopped", log, StringComparison.Ordinal);
        Assert.DoesNotContain(server.State, await File.ReadAllTextAsync("/proc/mounts", TributaryProgram.Token), StringComparison.Ordinal);
        Assert.False(Path.Exists(server.Socket));
        Assert.False(File.Exists(Path.Combine(server.State, "tributary.pid")));
    }

    Task<Tributary.Postgres.Programs.ChildProcessResult> ConnectAsync(string branch, params string[] psql) =>
        TributaryProgram.RunAsync(["branch", "connect", branch, "--socket", fixture.Server.Socket, "--", .. psql]);

    static IEnumerable<string> Keys(JsonElement branch) => branch.EnumerateObject().Select(property => property.Name);
}
