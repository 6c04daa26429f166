using Tributary.Postgres;
using Tributary.Testing;

namespace Tributary.Branching.Tests;

public sealed class NameAndPasswordTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("agent-42")]
    [InlineData("x1-y2-z3")]
    public void Accepts_dns_labels(string text)
    {
        Assert.True(BranchName.TryParse(text, out var name, out _));
        Assert.Equal(text, name.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("Agent")]
    [InlineData("1a")]
    [InlineData("-a")]
    [InlineData("a-")]
    [InlineData("a.b")]
    [InlineData("a b")]
    [InlineData("a/../b")]
    [InlineData("ä")]
    [InlineData("main")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public void Refuses_other_names_and_says_why(string text)
    {
        Assert.False(BranchName.TryParse(text, out _, out var error));
        Assert.NotEmpty(error);
    }

    [Fact]
    public void A_password_belongs_to_one_key_one_branch_and_one_generation()
    {
        var folder = TestFolder.New("keys");
        var passwords = BranchPasswords.Open(Path.Combine(folder, "a"));
        var others = BranchPasswords.Open(Path.Combine(folder, "b"));
        var branch = new Branch(1, BranchName.Parse("a"), "s", BranchState.Ready, Lsn.Zero, default, default, 1);

        Assert.Equal(passwords.Of(branch), BranchPasswords.Open(Path.Combine(folder, "a")).Of(branch));
        Assert.NotEqual(passwords.Of(branch), others.Of(branch));
        Assert.NotEqual(passwords.Of(branch), passwords.Of(branch with { Id = 2 }));
        Assert.NotEqual(passwords.Of(branch), passwords.Of(branch with { Generation = 2 }));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder, "a")));
    }
}
