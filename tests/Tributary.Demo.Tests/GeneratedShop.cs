using Npgsql;
using Tributary.Demo.Shop;
using Tributary.Demo.Tests;
using Tributary.Testing;

[assembly: AssemblyFixture(typeof(GeneratedShop))]

namespace Tributary.Demo.Tests;

/// <summary>One small shop for all tests that only read it, or that copy it as a template first.</summary>
public sealed class GeneratedShop : IAsyncLifetime
{
    public static readonly DateTimeOffset Until = new(2026, 3, 18, 15, 30, 0, TimeSpan.Zero);

    // A database is copied only while nobody is connected to it, so tests read a copy of this one.
    string _pristine = "";

    public string ConnectionString { get; private set; } = "";

    public ShopSummary Summary { get; private set; } = null!;

    internal RecordingNarrator Narrator { get; } = new();

    public async ValueTask InitializeAsync()
    {
        var server = await TestServers.SharedAsync();
        _pristine = await server.NewDatabaseAsync("shop") + ";Pooling=false";
        Summary = await new ShopGenerator(_pristine, Narrator, TimeProvider.System)
            .GenerateAsync(new ShopOptions { Orders = 20_000, OrdersUntilAsked = 0, Until = Until }, CancellationToken.None);
        ConnectionString = await CopyAsync("read");
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public Task<T> ScalarAsync<T>(string sql) => ScalarAsync<T>(ConnectionString, sql);

    public static async Task<T> ScalarAsync<T>(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    /// <summary>A writable copy of the shop: a plain database that stands for production or for a branch.</summary>
    public async Task<string> CopyAsync(string prefix)
    {
        var server = await TestServers.SharedAsync();
        var name = $"{prefix}_{Guid.NewGuid():N}"[..24];
        var template = new NpgsqlConnectionStringBuilder(_pristine).Database;
        await using var connection = new NpgsqlConnection(server.ConnectionString() + ";Pooling=false");
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand($"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy", connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        return server.ConnectionString(name) + ";Pooling=false";
    }
}

sealed class RecordingNarrator : INarrator
{
    public List<(string Label, double Fraction)> Steps { get; } = [];

    public List<string> Texts { get; } = [];

    public void Section(string title) => Texts.Add(title);

    public void Line(string text) => Texts.Add(text);

    public void Progress(string label, double fraction) => Steps.Add((label, fraction));

    public void Table(string title, IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows) => Texts.Add(title);
}
