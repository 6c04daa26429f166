using System.Text.Json;
using Npgsql;
using Tributary.Cli.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Cli.Tests;

/// <summary>What <c>tributary connect</c> finds, writes and refuses, without a server of its own.</summary>
public sealed class ConnectCommandTests
{
    readonly string _folder = TestFolder.New("connect");

    string File => Path.Combine(_folder, "tributary.yaml");

    [Fact]
    public async Task A_dry_run_shows_the_file_without_the_password_and_leaves_nothing()
    {
        var result = await ConnectAsync(await UrlAsync("app:hush"), "--dry-run");

        Assert.Equal((0, ""), (result.ExitCode, result.StandardError));
        Assert.Contains("proposed: main follows by physical replication\n", result.StandardOutput, StringComparison.Ordinal);
        Assert.Contains("url: \"postgresql://app:PASSWORD@127.0.0.1:", result.StandardOutput, StringComparison.Ordinal);
        Assert.DoesNotContain("hush", result.StandardOutput, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public async Task The_file_is_written_once_for_its_owner_alone_and_a_second_time_only_by_force()
    {
        var url = await UrlAsync("app:hush");

        var first = await ConnectAsync(url, "--no-start", "-o", "json");
        var again = await ConnectAsync(url, "--no-start");
        var forced = await ConnectAsync(url, "--no-start", "--force");

        Assert.Equal((0, 9, 0), (first.ExitCode, again.ExitCode, forced.ExitCode));
        Assert.Contains($"error: there is a file {File} already\nhint: start what it says with 'tributary up --detach -c {File}'", again.StandardError, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(File));
        Assert.Contains("url: \"postgresql://app:hush@127.0.0.1:", await System.IO.File.ReadAllTextAsync(File, TributaryProgram.Token), StringComparison.Ordinal);
        Assert.Contains($"start it: tributary up --detach -c {File}", forced.StandardOutput, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(first.StandardOutput);
        Assert.Equal(["source", "findings", "proposal", "file"], json.RootElement.EnumerateObject().Select(property => property.Name));
        Assert.Equal(["mode", "reasons", "changes"], json.RootElement.GetProperty("proposal").EnumerateObject().Select(property => property.Name));
        Assert.DoesNotContain("hush", first.StandardOutput, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_URL_from_the_environment_stays_there()
    {
        var url = await UrlAsync("app:hush");
        var environment = new Dictionary<string, string> { ["TRIBUTARY_SOURCE_URL"] = url };

        var result = await TributaryProgram.RunInAsync(_folder, environment, [.. Options("--no-start")]);
        var other = await TributaryProgram.RunInAsync(_folder, environment, [.. Options("--no-start", "--force"), "postgresql://u@h/d"]);

        Assert.Equal((0, 2), (result.ExitCode, other.ExitCode));
        Assert.Contains("url: \"${TRIBUTARY_SOURCE_URL}\"", await System.IO.File.ReadAllTextAsync(File, TributaryProgram.Token), StringComparison.Ordinal);
        Assert.Contains("TRIBUTARY_SOURCE_URL names another Postgres", other.StandardError, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_role_that_may_not_replicate_is_exit_code_5_with_what_to_change_and_no_file()
    {
        var url = await UrlAsync("limited:hush");

        var text = await ConnectAsync(url);
        var json = await ConnectAsync(url, "-o", "json");

        Assert.Equal((5, 5), (text.ExitCode, json.ExitCode));
        Assert.Contains("main cannot follow this Postgres as it is\n  because limited may not replicate\n  to do: on production, as a superuser: ALTER ROLE \"limited\" REPLICATION;\n", text.StandardOutput, StringComparison.Ordinal);
        using var read = JsonDocument.Parse(json.StandardOutput);
        Assert.False(read.RootElement.GetProperty("proposal").TryGetProperty("mode", out _));
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public async Task What_does_not_answer_is_one_error_with_exit_code_5()
    {
        var postgres = await TestServers.SharedAsync();

        var nobody = await ConnectAsync("postgresql://u@127.0.0.1:1/shop");
        var database = await ConnectAsync(postgres.Url("no_such_database"), "-o", "json");
        var tls = await ConnectAsync(postgres.Url() + "?sslmode=verify-full");

        Assert.Equal((5, 5, 5), (nobody.ExitCode, database.ExitCode, tls.ExitCode));
        Assert.Contains("error: cannot connect to postgresql://u@127.0.0.1:1/shop: Connection refused\nhint: check host and port", nobody.StandardError, StringComparison.Ordinal);
        Assert.Contains("error: The server", tls.StandardError, StringComparison.Ordinal);
        using var problem = JsonDocument.Parse(database.StandardError);
        Assert.Equal("source-unsuitable", problem.RootElement.GetProperty("code").GetString());
        Assert.Contains("database \"no_such_database\" does not exist", problem.RootElement.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    Task<ChildProcessResult> ConnectAsync(string url, params string[] options) => TributaryProgram.RunInAsync(_folder, new Dictionary<string, string>(), [.. Options(options), url]);

    IEnumerable<string> Options(params string[] options) => ["connect", "--state", Path.Combine(_folder, "state"), "--listen", "127.0.0.1:0", .. options];

    // Roles are the whole server's, so each is made by whichever test comes first.
    static async Task<string> UrlAsync(string user)
    {
        var postgres = await TestServers.SharedAsync();
        await using var connection = new NpgsqlConnection(postgres.ConnectionString() + ";Pooling=false");
        await connection.OpenAsync(TributaryProgram.Token);
        await using var command = new NpgsqlCommand(
            """
            DO $$ BEGIN
                PERFORM pg_advisory_xact_lock(1);
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN
                    CREATE ROLE app LOGIN REPLICATION PASSWORD 'hush';
                    CREATE ROLE limited LOGIN PASSWORD 'hush';
                END IF;
            END $$
            """, connection);
        await command.ExecuteNonQueryAsync(TributaryProgram.Token);
        return $"postgresql://{user}@127.0.0.1:{postgres.Port}/postgres";
    }
}
