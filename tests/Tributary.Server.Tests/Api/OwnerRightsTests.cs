using Npgsql;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Api;

/// <summary>Whom the gateway lets into a branch whose owner is no superuser: a client names the role that it wants to be.</summary>
public sealed class OwnerRightsTests
{
    [Fact]
    public async Task Nobody_enters_as_the_superuser_whose_password_is_the_branchs()
    {
        var postgres = await TestServers.SharedAsync();
        var source = await postgres.DatabaseAsync("CREATE TABLE orders (id int PRIMARY KEY)");
        var configuration = Production.Configuration(source).WithBranching($"owner_{Guid.NewGuid():N}"[..24]);
        await using var server = await TestServer.StartAsync(configuration with { Branching = configuration.Branching! with { OwnerRights = OwnerRights.Application } });
        await Production.UntilAsync(async () => (await server.Client.GetStatusAsync(Production.Token)).Value!.Branching.Seeds.Count > 0, "the first seed");
        var branch = (await server.Client.CreateBranchAsync(new BranchCreateRequest { Name = "closed" }, Production.Token)).Value!;

        var refused = await Assert.ThrowsAsync<PostgresException>(() => EnterAsync("postgres"));

        Assert.Equal((PostgresErrorCodes.InvalidAuthorizationSpecification, true), (refused.SqlState, refused.MessageText.Contains("owner-rights", StringComparison.Ordinal)));
        Assert.False(await EnterAsync("branch_owner"));

        Task<bool> EnterAsync(string user) => Production.ScalarAsync<bool>(
            new NpgsqlConnectionStringBuilder(branch.ConnectionString()) { Username = user, Options = "-c branch=closed" }.ConnectionString,
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user");
    }
}
