using Tributary.Contracts;
using Tributary.EndToEnd.Tests.Support;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests;

/// <summary>One production and one <c>tributary up</c> on it, whose branches fall asleep after two seconds; shared by the tests that only make branches.</summary>
public sealed class SharedServer : IAsyncLifetime
{
    public const string ProductionPassword = "known-to-production-only";

    internal TestSpace Space { get; } = new();

    internal RunningTributary Tributary { get; private set; } = null!;

    internal PostgresServer Production { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Production = await TestServers.StartAsync(["wal_level = logical"]);
        await Sql.AskAsync(Production.ConnectionString(), "CREATE DATABASE shop");
        await Sql.AskAsync(
            Production.ConnectionString("shop"),
            $"CREATE TABLE items AS SELECT n AS id, 'item ' || n AS name FROM generate_series(1, 100) n; CREATE ROLE cashier LOGIN SUPERUSER PASSWORD '{ProductionPassword}'");
        await Space.ConfigureAsync(
            $"source: {{ url: '{Production.Url("shop")}' }}", "branching: { driver: btrfs, pool-size: 4GiB, idle-timeout: 2s }");
        Tributary = await Space.UpAsync();
        await Tributary.ReadyAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Space.DisposeAsync();
        await (Production?.DisposeAsync() ?? default);
    }

    /// <summary>Makes a branch as a person does, by the command line.</summary>
    /// <param name="options">Of the command, behind the name.</param>
    internal async Task<BranchResponse> CreateByCommandAsync(string name, params string[] options)
    {
        var made = await TributaryProgram.RunAsync(["branch", "create", name, .. options, "-c", Space.Configuration, "-o", "json"]);
        return System.Text.Json.JsonSerializer.Deserialize(made.EnsureSucceeded("tributary branch create").StandardOutput, ContractsJson.Default.BranchResponse)!;
    }

    /// <summary>Waits until the branch has no process.</summary>
    internal async Task FallsAsleepAsync(string name)
    {
        var branch = await Eventually.HoldsAsync(
            () => Tributary.GetAsync(name), static branch => branch.Compute == BranchCompute.Asleep, $"the branch {name} sleeps", TimeSpan.FromSeconds(15));
        Assert.Empty(Machine.ProcessesNaming($"{Space.State}/run/{branch.Folder}/"));
    }
}

[CollectionDefinition(Name)]
public sealed class SharedServerGroup : ICollectionFixture<SharedServer>
{
    public const string Name = "shared server";
}
