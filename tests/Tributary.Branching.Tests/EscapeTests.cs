using Npgsql;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>The ways that Postgres itself offers a superuser out of the server lead nowhere.</summary>
public sealed class EscapeTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    [Fact]
    public async Task Neither_dblink_nor_a_foreign_server_reaches_production_by_host_and_port()
    {
        await using var lease = await LeaseAsync("tcp");
        var connection = ConnectionString(lease);
        await ExecuteAsync(connection, "CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw");
        await ExecuteAsync(connection, $"""
            CREATE SERVER production FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{fixture.Production.Port}', dbname 'bank');
            CREATE USER MAPPING FOR branch_owner SERVER production OPTIONS (user 'postgres');
            CREATE FOREIGN TABLE there (id int, balance bigint) SERVER production OPTIONS (table_name 'accounts');
            """);

        var foreign = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, "DELETE FROM there"));
        var link = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, $"SELECT dblink_connect('host=127.0.0.1 port={fixture.Production.Port} user=postgres dbname=bank')"));

        Assert.Contains("Connection refused", foreign.MessageText + foreign.Detail, StringComparison.Ordinal);
        Assert.Contains("Connection refused", link.MessageText + link.Detail, StringComparison.Ordinal);
        Assert.Equal(1000L, await ScalarAsync(fixture.Production.ConnectionString("bank"), "SELECT count(*) FROM accounts"));
    }

    [Fact]
    public async Task Dblink_reaches_no_unix_socket_of_another_server()
    {
        await using var sibling = await LeaseAsync("unix-sibling");
        await using var lease = await LeaseAsync("unix");
        await ExecuteAsync(ConnectionString(lease), "CREATE EXTENSION dblink");
        (string Folder, int Port)[] sockets =
        [
            (fixture.Production.SocketDirectory, fixture.Production.Port),
            (Path.Combine(fixture.Options.StateDirectory, "run", "main", "socket"), 5432),
            (Path.GetDirectoryName(sibling.SocketPath)!, 5432),
        ];

        foreach (var (folder, port) in sockets)
        {
            // The socket is there for this process.
            Assert.True(File.Exists(Path.Combine(folder, $".s.PGSQL.{port}")));
            var link = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(ConnectionString(lease), $"SELECT dblink_connect('host={folder} port={port} user=postgres dbname=postgres')"));
            Assert.Contains("No such file", link.MessageText + link.Detail, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("COPY o FROM PROGRAM '/bin/cat /etc/passwd'")]
    [InlineData("COPY (SELECT 'x') TO PROGRAM '/bin/sh -c true'")]
    [InlineData("COPY (SELECT 'x') TO PROGRAM 'cat > /data/x'")]
    public async Task Copy_runs_no_program(string copy)
    {
        await using var lease = await LeaseAsync($"copy-{(uint)copy.GetHashCode(StringComparison.Ordinal)}");
        await ExecuteAsync(ConnectionString(lease), "CREATE TABLE o (t text)");

        var refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(ConnectionString(lease), copy));

        // Without a shell popen() itself may succeed and its child fail, with code 127 for a program that is not there.
        Assert.Matches("could not execute command|program .* failed|could not write to COPY program|could not close pipe", refused.MessageText);
    }

    [Fact]
    public async Task Large_objects_are_neither_read_from_nor_written_to_files_outside()
    {
        await using var lease = await LeaseAsync("large-objects");
        var connection = ConnectionString(lease);
        await ExecuteAsync(connection, "SELECT lo_from_bytea(4711, 'hello')");

        foreach (var target in new[] { "/conf/postgresql.conf", "/x", "/usr/lib/x" })
        {
            var written = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, $"SELECT lo_export(4711, '{target}')"));
            Assert.Matches("Read-only|Permission denied", written.MessageText);
        }

        foreach (var target in new[] { "/etc/passwd", "/etc/shadow", $"{fixture.Options.StateDirectory}/secret.key", $"{fixture.Options.StateDirectory}/catalog.db" })
        {
            var read = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, $"SELECT lo_import('{target}')"));
            Assert.Contains("No such file", read.MessageText, StringComparison.Ordinal);
        }

        // Nothing of the host appeared where a write would have gone.
        Assert.Equal("hello", await ScalarAsync(connection, "SELECT convert_from(lo_get(4711), 'UTF8')"));
        Assert.False(File.Exists("/x"));
    }

    async Task<ComputeLease> LeaseAsync(string name) => await fixture.ConnectAsync(await fixture.CreateAsync(name));
}
