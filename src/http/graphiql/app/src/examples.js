// The operations a new visitor finds in the tabs. Each root field of the schema has a named
// operation; a tab with several offers them in the menu of the run button, and Ctrl-Enter runs the
// one at the cursor. A tab is titled after its first operation, which `name` repeats.

const viewer = `# Welcome to user-gateway.
#
#   Ctrl-Enter  runs the operation at the cursor
#   Ctrl-Space  completes names
#   the book    opens the docs of every type
#
# Who the token belongs to, and what it may do:
query Viewer {
  viewer {
    user {
      id
      username
      displayName
    }
    scopes
    capabilities
  }
}
`;

const users = `# A page of users; "after" takes the endCursor of the page before.
query Users($filter: UserFilter! = {}, $first: Int, $after: String) {
  users(filter: $filter, first: $first, after: $after, orderBy: { field: ID, direction: ASC }) {
    totalCount
    nodes {
      id
      username
      displayName
      isActive
      lastActive
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}

# One user. Private fields are null for callers who may not see them.
query User($id: ID!) {
  user(id: $id) {
    id
    username
    name
    dateJoined
    email
    hasTwoFactor
    roles
    organizations {
      id
      slug
    }
  }
}

# Which of these usernames are taken.
query ExistingUsernames($usernames: [String!]!) {
  existingUsernames(usernames: $usernames)
}
`;

const organizations = `# The organizations of a user.
query Organizations($userId: ID!, $onlyVisible: Boolean! = false) {
  organizations(userId: $userId, onlyVisible: $onlyVisible) {
    id
    slug
    name
    status
    regionName
  }
}

# One organization, by id or by slug.
query Organization($by: OrganizationBy!) {
  organization(by: $by) {
    id
    slug
    name
    status
    dateCreated
    members(first: 10) {
      totalCount
      edges {
        role
        node {
          id
          displayName
        }
      }
    }
  }
}
`;

const nodes = `# Any object by its global id.
query Node($id: ID!) {
  node(id: $id) {
    __typename
    id
    ... on User {
      username
    }
    ... on Organization {
      slug
    }
  }
}

# Several at once, in the order asked; null where there is none.
query Nodes($ids: [ID!]!) {
  nodes(ids: $ids) {
    __typename
    id
  }
}
`;

const options = `# The options of a user.
query UserOptions($userId: ID!) {
  userOptions(filter: { userIds: [$userId] }) {
    id
    key
    value
  }
}

# Sets an option; any JSON value will do.
mutation SetUserOption($userId: ID!, $key: String!, $value: JSON!) {
  setUserOption(input: { userId: $userId, key: $key, value: $value, scope: { global: true } }) {
    option {
      id
      key
      value
    }
    changed
    errors {
      code
      message
      path
    }
  }
}

# Deletes options by key.
mutation DeleteUserOptions($userId: ID!, $keys: [String!]!) {
  deleteUserOptions(input: { userId: $userId, keys: $keys, scope: { global: true } }) {
    deletedIds
    errors {
      code
      message
      path
    }
  }
}
`;

const accounts = `# Finds the user with this address, or creates one.
mutation GetOrCreateUserByEmail($email: String!) {
  getOrCreateUserByEmail(input: { email: $email, referrer: "graphiql" }) {
    user {
      id
      username
    }
    created
    errors {
      code
      message
      path
    }
  }
}

# Switches an account on or off.
mutation UpdateUser($userId: ID!, $isActive: Boolean!) {
  updateUser(input: { userId: $userId, isActive: $isActive }) {
    user {
      id
      isActive
    }
    errors {
      code
      message
      path
    }
  }
}

# Marks an address as verified.
mutation VerifyUserEmail($userId: ID!, $address: String!) {
  verifyUserEmail(input: { userId: $userId, email: $address }) {
    changed
    errors {
      code
      message
      path
    }
  }
}
`;

const changes = `# Each change as it happens, over a WebSocket, until the stop button ends it. Change something in
# another tab or window meanwhile.
subscription UserChanged($id: ID!) {
  userChanged(id: $id) {
    id
    displayName
    lastActive
  }
}

subscription UserOptionChanged($userId: ID!, $keys: [String!]) {
  userOptionChanged(userId: $userId, keys: $keys) {
    user {
      id
    }
    key
    project
    organization {
      id
    }
    isDeleted
    option {
      id
      value
    }
  }
}
`;

export const examples = [
  { name: 'Viewer', query: viewer, variables: {} },
  {
    name: 'Users',
    query: users,
    variables: { filter: { isActive: true }, first: 10, after: null, id: 'User:1', usernames: ['admin', 'nobody'] },
  },
  {
    name: 'Organizations',
    query: organizations,
    variables: { userId: 'User:1', onlyVisible: false, by: { id: 'Organization:1' } },
  },
  { name: 'Node', query: nodes, variables: { id: 'User:1', ids: ['User:2', 'Organization:1', 'User:999999'] } },
  {
    name: 'UserOptions',
    query: options,
    variables: { userId: 'User:1', key: 'theme', value: 'dark', keys: ['theme'] },
  },
  {
    name: 'GetOrCreateUserByEmail',
    query: accounts,
    variables: { email: 'ada@example.com', userId: 'User:2', isActive: true, address: 'robin@home.example' },
  },
  { name: 'UserChanged', query: changes, variables: { id: 'User:2', userId: 'User:1', keys: null } },
];
