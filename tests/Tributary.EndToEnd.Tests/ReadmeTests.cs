using Tributary.Contracts.Client;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>A Postgres that exists already gets its first branch and its stream by the very lines of README.md.</summary>
public sealed class ReadmeTests : IAsyncDisposable
{
    const string PlaceholderUrl = "postgresql://tributary:…@db.example.com/shop";

    readonly TestSpace _space = new();
    readonly int _gatewayPort = PostgresServer.FreePort();
    PostgresServer? _production;
    PostgresServer? _replica;

    string SourceUrl => $"postgresql://tributary:s3cret@127.0.0.1:{_production!.Port}/shop";

    // What a shell on that machine has beside the lines themselves: another port, since 6432 may be taken, and the folder.
    Dictionary<string, string> Environment => new()
    {
        ["TRIBUTARY_STATE"] = _space.State,
        ["TRIBUTARY_GATEWAY_LISTEN"] = $"127.0.0.1:{_gatewayPort}",
        ["PATH"] = $"{_space.Folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    };

    [Fact]
    public async Task Its_commands_make_enter_and_delete_the_first_branch_of_an_existing_Postgres()
    {
        await PrepareAsync();
        using var server = new TributaryClient(_space.Socket);

        await ShellAsync(Readme.Command("tributary connect").Replace(PlaceholderUrl, SourceUrl, StringComparison.Ordinal));
        Assert.Contains("postgresql://branch_owner:", await ShellAsync(Readme.Command("tributary branch create try-it")), StringComparison.Ordinal);
        Assert.Contains("3", await ShellAsync(Readme.Command("tributary branch connect"), "SELECT count(*) FROM customers;"), StringComparison.Ordinal);
        Assert.Contains("following", await ShellAsync(Readme.Command("tributary status")), StringComparison.OrdinalIgnoreCase);
        var branch = (await server.GetBranchAsync("try-it", TestContext.Current.CancellationToken)).Value!;
        var psql = Readme.Command("psql ").Replace("port=6432", $"port={_gatewayPort}", StringComparison.Ordinal);
        Assert.Contains("3", await ShellAsync($"PGPASSWORD={branch.Password()} {psql}", "SELECT count(*) FROM customers;"), StringComparison.Ordinal);
        await ShellAsync(Readme.Command("tributary branch delete"));
        Assert.Empty((await server.ListBranchesAsync(TestContext.Current.CancellationToken)).Value!.Branches);
        await ShellAsync(Readme.Command("tributary doctor"));
        await ShellAsync(Readme.Command("tributary down"));
        await ShellAsync(Readme.Command("tributary up --detach"));
        await ShellAsync(Readme.Command("tributary down"));
        await ShellAsync(Readme.Command("tributary destroy") + " --yes");

        Assert.False(Directory.Exists(_space.State));
    }

    [Fact]
    public async Task Its_configuration_file_streams_an_existing_Postgres_to_a_replica_and_branches_it()
    {
        await PrepareAsync();
        _replica = await TestServers.StartAsync([]);
        await Sql.AskAsync(_replica.ConnectionString(), "CREATE DATABASE shop");
        foreach (var (name, url) in new[] { ("production", SourceUrl), ("replica", _replica.Url("shop")) })
            await File.WriteAllTextAsync(Path.Combine(_space.Folder, $"{name}.url"), url + "\n", TestContext.Current.CancellationToken);
        var file = Readme.Block("yaml", "streams:")
            .Replace("/var/lib/tributary", _space.State, StringComparison.Ordinal).Replace("/etc/tributary", _space.Folder, StringComparison.Ordinal)
            .Replace("6432", $"{_gatewayPort}", StringComparison.Ordinal);
        await File.WriteAllTextAsync(_space.Configuration, file, TestContext.Current.CancellationToken);

        var running = await _space.UpAsync();
        await running.ReadyAsync();
        await Sql.AskAsync(_production!.ConnectionString("shop"), "INSERT INTO customers VALUES (4, 'Dana'); UPDATE customers SET name = 'Al' WHERE id = 1; DELETE FROM customers WHERE id = 2");
        await Eventually.HoldsAsync(
            () => Sql.RowsAsync(_replica.ConnectionString("shop"), "customers"), static rows => rows.SequenceEqual(["(1,Al)", "(3,Cleo)", "(4,Dana)"]),
            "the replica has the changes", TimeSpan.FromSeconds(15));
        var branch = await running.CreateAsync("first");

        Assert.Equal("Al,Cleo,Dana", await branch.AskAsync("SELECT string_agg(name, ',' ORDER BY id) FROM customers"));
    }

    public async ValueTask DisposeAsync()
    {
        // A test that has failed may have left its server; nothing of it is a child of this process.
        await ChildProcesses.RunAsync(Shell("tributary down"), CancellationToken.None);
        await _space.DisposeAsync();
        await (_production?.DisposeAsync() ?? default);
        await (_replica?.DisposeAsync() ?? default);
    }

    // A Postgres of somebody's own, prepared by the statements of README.md.
    async Task PrepareAsync()
    {
        _production = await TestServers.StartAsync(["wal_level = logical"]);
        await Sql.AskAsync(_production.ConnectionString(), "CREATE DATABASE shop");
        var shop = _production.ConnectionString("shop");
        await Sql.AskAsync(shop, "CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ann'), (2, 'Bo'), (3, 'Cleo')");
        foreach (var line in Readme.Block("sql", "CREATE ROLE tributary").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            await Sql.AskAsync(shop, line.Replace("'…'", "'s3cret'", StringComparison.Ordinal));
        Directory.CreateDirectory(Path.Combine(_space.Folder, "bin"));
        File.CreateSymbolicLink(Path.Combine(_space.Folder, "bin/tributary"), TributaryProgram.Binary);
    }

    ChildProcessSpec Shell(string command, string input = "") => new("/bin/sh", ["-c", $"cd {_space.Folder} && {command}"]) { Environment = Environment, StandardInput = input };

    async Task<string> ShellAsync(string command, string input = "") =>
        (await ChildProcesses.RunAsync(Shell(command, input), TestContext.Current.CancellationToken)).EnsureSucceeded(command).StandardOutput;
}
