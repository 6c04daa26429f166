using System.Security.Cryptography;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>What a branch writes reaches no byte of what it shares its blocks with.</summary>
public sealed class ChecksumTests(BranchingFixture fixture) : IClassFixture<BranchingFixture>
{
    [Fact]
    public async Task Heavy_writes_in_a_branch_change_no_byte_of_its_seed_its_parent_or_its_siblings()
    {
        var parent = await fixture.CreateAsync("sum-parent");
        await using (var lease = await fixture.ConnectAsync(parent))
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE filled AS SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 20000) n; CHECKPOINT");
        var sibling = await ForkAsync("sum-sibling");
        var writer = await ForkAsync("sum-writer");
        await fixture.StopIdleAsync();
        string[] others = [Branch.VolumeOf(parent.Number), parent.Birth!, Branch.VolumeOf(sibling.Number), sibling.Birth!, writer.Birth!];
        var before = others.Select(Sum).ToList();
        var own = Sum(Branch.VolumeOf(writer.Number));

        await using (var lease = await fixture.ConnectAsync(writer))
        {
            await ExecuteAsync(ConnectionString(lease), "UPDATE filled SET text = reverse(text); DELETE FROM accounts; DROP TABLE accounts");
            await ExecuteAsync(ConnectionString(lease), "CREATE TABLE more AS SELECT n, md5(n::text) FROM generate_series(1, 200000) n; CHECKPOINT");
            await ExecuteAsync(ConnectionString(lease), "VACUUM FULL");
        }

        await fixture.StopIdleAsync();
        Assert.NotEqual(own, Sum(Branch.VolumeOf(writer.Number)));
        Assert.Equal(before, [.. others.Select(Sum)]);
    }

    async Task<Branch> ForkAsync(string name)
    {
        var made = await fixture.Manager.CreateAsync(new BranchRequest(BranchName.Parse(name), BranchOrigin.Branch) { Parent = "sum-parent" }, Token);
        Assert.True(made.Succeeded, made.Error?.Message);
        return made.Value;
    }

    // Of every file's name and content, in the order of names.
    string Sum(string volume)
    {
        var root = Path.Combine(fixture.Options.StateDirectory, "pool", volume);
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            sum.AppendData(System.Text.Encoding.UTF8.GetBytes(file[root.Length..]));
            sum.AppendData(File.ReadAllBytes(file));
        }

        return Convert.ToHexString(sum.GetHashAndReset());
    }
}
