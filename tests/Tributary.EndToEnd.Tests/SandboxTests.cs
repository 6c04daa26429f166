using Npgsql;
using Tributary.EndToEnd.Tests.Support;

namespace Tributary.EndToEnd.Tests;

/// <summary>What a branch's superuser, come in by the gateway, cannot reach. Each thing is there outside: the test asks that first.</summary>
[Collection(SharedServerGroup.Name)]
public sealed class SandboxTests(SharedServer server)
{
    [Fact]
    public async Task A_superuser_has_no_network_and_cannot_reach_production()
    {
        var branch = await server.Tributary.CreateAsync("no-network");
        var production = $"host=127.0.0.1 port={server.Production.Port} user=postgres dbname=shop";
        var link = $"CREATE EXTENSION IF NOT EXISTS dblink; SELECT dblink_connect('link', '{production}')";
        Assert.Equal("OK", await Sql.AskAsync(server.Production.ConnectionString("postgres"), link));

        var refused = await Assert.ThrowsAsync<PostgresException>(() => branch.AskAsync(link));
        var interfaces = (string)(await branch.AskAsync("SELECT pg_read_file('/proc/net/dev')"))!;

        Assert.Contains("Connection refused", refused.MessageText + refused.Detail, StringComparison.Ordinal);
        Assert.Equal(["lo"], interfaces.Split('\n').Where(static line => line.Contains(':')).Select(static line => line.Split(':')[0].Trim()));
    }

    [Fact]
    public async Task A_superuser_sees_no_file_of_the_host_and_nothing_of_another_branch()
    {
        var sibling = await server.Tributary.CreateAsync("sibling");
        var branch = await server.Tributary.CreateAsync("nosy");
        // The open connection keeps the sibling awake, and so its socket there.
        await using var awake = await Sql.OpenAsync(sibling.ConnectionString());
        var state = server.Space.State;
        string[] paths =
        [
            "/etc/passwd", "/etc/hostname", "/usr/bin/psql", state, $"{state}/catalog.db", $"{state}/secret.key", $"{state}/pool", $"{state}/pool.img",
            $"{state}/pool/branches/{sibling.Folder}/PG_VERSION", $"{state}/run/{sibling.Folder}/socket/.s.PGSQL.5432", $"{server.Production.DataDirectory}/PG_VERSION",
        ];
        Assert.All(paths, static path => Assert.True(Path.Exists(path), $"{path} is not there outside either"));

        foreach (var path in paths)
            Assert.Equal(DBNull.Value, await branch.AskAsync($"SELECT pg_stat_file('{path}', missing_ok => true)::text"));
    }

    [Fact]
    public async Task A_superuser_runs_no_program()
    {
        var branch = await server.Tributary.CreateAsync("no-program");

        foreach (var program in new[] { "id", "/bin/sh -c id", "/usr/bin/psql --version" })
        {
            var refused = await Assert.ThrowsAsync<PostgresException>(() => branch.AskAsync($"CREATE TEMP TABLE o (t text); COPY o FROM PROGRAM '{program}'"));
            Assert.Contains("could not execute command", refused.MessageText, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Productions_passwords_open_no_branch_and_its_own_does()
    {
        var branch = await server.Tributary.CreateAsync("locked");
        Assert.Equal(true, await branch.AskAsync("SELECT rolsuper AND rolcanlogin FROM pg_roles WHERE rolname = 'cashier'"));

        var asCashier = await Assert.ThrowsAsync<PostgresException>(() => Sql.OpenAsync(branch.ConnectionString("cashier", SharedServer.ProductionPassword)));
        var asOwner = await Assert.ThrowsAsync<PostgresException>(() => Sql.OpenAsync(branch.ConnectionString("branch_owner", SharedServer.ProductionPassword)));
        var asSuperuser = await Assert.ThrowsAsync<PostgresException>(() => Sql.OpenAsync(branch.ConnectionString("postgres", "postgres")));

        Assert.Equal(PostgresErrorCodes.InvalidPassword, asCashier.SqlState);
        Assert.Equal(PostgresErrorCodes.InvalidPassword, asOwner.SqlState);
        Assert.Equal(PostgresErrorCodes.InvalidPassword, asSuperuser.SqlState);
        Assert.Equal(1, await branch.AskAsync("SELECT 1"));
    }

    [Fact]
    public async Task The_password_of_one_branch_opens_no_other()
    {
        var mine = await server.Tributary.CreateAsync("mine");
        var theirs = await server.Tributary.CreateAsync("theirs");

        var refused = await Assert.ThrowsAsync<PostgresException>(() => Sql.OpenAsync(theirs.ConnectionString(password: mine.Password())));

        Assert.Equal(PostgresErrorCodes.InvalidPassword, refused.SqlState);
    }
}
